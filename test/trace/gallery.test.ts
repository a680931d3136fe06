/**
 * The gallery: what is known to go wrong with clients of the stock library, each as a trace of less than 4 KB that was recorded
 * before it. Each fails there 20 times of 20, and never here.
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { checkTrace } from "../../src/trace/check/check.ts";
import { openTrace } from "../../src/trace/read/trace-reader.ts";
import { PlayedTrace } from "../../src/trace/replay/played-trace.ts";
import { play } from "../../src/trace/replay/player.ts";
import { readScript } from "../../src/trace/replay/script.ts";
import { slowly } from "../../src/trace/shrink/verdict.ts";
import { servedDb } from "../support/dev-db.ts";
import { startStock } from "./support/recorded.ts";

const times = 20;
const directory = join(import.meta.dirname, "gallery");
const kinds: Readonly<Record<string, string>> = {
  "columns-of-another-client": "foreign answer",
  "error-in-anothers-pipeline": "torn pipeline",
  "leaked-search-path": "leaked state",
  "notify-to-the-wrong-client": "foreign answer",
  "parameters-of-another-client": "foreign answer",
  "rows-of-another-client": "foreign answer",
  "same-named-statements": "leaked state",
  "statement-closed-by-another-client": "foreign answer",
  "statement-lost-to-a-query": "foreign answer",
};
const names = readdirSync(directory).map((file) => file.replace(".trace", ""));

const fileOf = (name: string): string => join(directory, `${name}.trace`);

/** The kinds of what goes wrong when it is played to a server, each time. */
async function playTo(port: number, name: string): Promise<(string | undefined)[]> {
  const { steps } = readScript(openTrace(fileOf(name)));
  const found: (string | undefined)[] = [];
  for (let time = 0; time < times; time++) {
    const played = new PlayedTrace();
    const target = { address: { host: "127.0.0.1", port }, parameters: {} };
    await play({ steps, came: new Map() }, target, slowly, played.tap);
    found.push([...checkTrace(played)][0]?.kind);
  }
  return found;
}

test("each is small, and what is wrong in it is found", () => {
  expect(names.sort()).toEqual(Object.keys(kinds).sort());
  for (const name of names) {
    expect(statSync(fileOf(name)).size, name).toBeLessThanOrEqual(4096);
    expect(
      [...checkTrace(openTrace(fileOf(name)))].map(({ kind }) => kind),
      name,
    ).toEqual([kinds[name]]);
  }
});

test(`each fails on the stock library, ${times} of ${times}`, async () => {
  const port = await startStock();
  for (const name of names) expect(await playTo(port, name), name).toEqual(Array(times).fill(kinds[name]));
});

describe("on a server of ours", () => {
  const served = servedDb();

  test.each(names)("%s: each gets its own", async (name) => {
    expect(await playTo(served.db.port, name)).toEqual(Array(times).fill(undefined));
  });
});
