/**
 * The page of a trace: one HTML file that needs nothing else.
 *
 * Owns: putting the data into what the build has made of `browser/`. Does not own: the data (`collect.ts`), what is seen.
 * Invariant: all that comes from the trace is base64 in the page, so that nothing in it can be taken for markup; the page's
 * policy lets it load nothing, and run nothing but its own script.
 */
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import type { PageData } from "./page-data.ts";

/** dist/trace-page.html; from the sources it is there as soon as the project is built. */
const template = new URL(
  import.meta.url.endsWith(".ts") ? "../../../dist/trace-page.html" : "./trace-page.html",
  import.meta.url,
);

/** Where the data goes in the template. */
const place = "<!--data-->";

/** The page. */
export function pageOf(data: PageData, bytes: Buffer): string {
  const [before, after, ...more] = readFileSync(template, "utf8").split(place);
  if (before === undefined || after === undefined || more.length > 0)
    throw new Error("the page has one place for data");
  const block = (id: string, content: Buffer | string) =>
    `<script type="text/plain" id="${id}">${gzipSync(content).toString("base64")}</script>\n`;
  return `${before}${block("data", JSON.stringify(data))}${block("bytes", bytes)}${after}`;
}
