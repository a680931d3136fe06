/**
 * Figures of docs/performance.md that a script has measured.
 *
 * Owns: where on the page they are, and what is said of a run beside its figures. Does not own: the figures.
 * Invariant: what figures depend on (date, versions, machine, load) is written with them; the rest of the page is left as it is.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Surroundings } from "./bench/machine.ts";

const page = fileURLToPath(new URL("../docs/performance.md", import.meta.url));

/** Puts `text` between the two comments that bear the script's name. */
export function writeMeasured(script: string, text: string): void {
  const before = readFileSync(page, "utf8");
  const place = new RegExp(`(<!-- ${script}: [^\\n]*-->\\n)[\\s\\S]*?(<!-- end of ${script} -->)`);
  if (!place.test(before)) throw new Error(`docs/performance.md has no place for the figures of ${script}`);
  writeFileSync(
    page,
    before.replace(place, (_, begin: string, end: string) => `${begin}\n${text.trim()}\n\n${end}`),
  );
}

/** When and where it was measured, as half a sentence. */
export function describeRun({ date, node, pglite, cpu, cores, os, loadBefore }: Surroundings): string {
  const system = os.replace(/,.*/, "");
  return `on ${date.slice(0, 10)}, Node ${node}, PGlite ${pglite}, ${cores} cores of ${cpu}, ${system}, with a load of ${loadBefore.toFixed(1)}`;
}

/** A table in Markdown. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((name, i) => Math.max(3, name.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]) => `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}
