/**
 * The gallery: what is known to go wrong with clients of the stock library, each as a trace of less than 4 KB. Each fails there
 * 20 times of 20, and never here; three of three in `npm test`.
 */
import { statSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { checkTrace } from "../../src/trace/check/check.ts";
import { openTrace } from "../../src/trace/read/trace-reader.ts";
import { answers } from "../../src/trace/replay/probe.ts";
import { servedDb } from "../support/dev-db.ts";
import { fileOf, files, lastAnswer, missingAnswer, noAnswers, wrongAnswer, wrongAnswers } from "./support/gallery.ts";
import { startStock } from "./support/recorded.ts";

const often: [number, { tags?: string }][] = [
  [3, {}],
  [20, { tags: "long" }],
];
/** An answer of the stock library that is not there by then does not come before its client has given up. */
const stockMs = 200;
const oursMs = 10_000;

async function again<T>(times: number, what: () => Promise<T>): Promise<T[]> {
  const all: T[] = [];
  for (let time = 0; time < times; time++) all.push(await what());
  return all;
}

test("each is small, and what is wrong in it is found", () => {
  expect([...files].sort()).toEqual([...Object.keys(wrongAnswers), ...noAnswers, lastAnswer].sort());
  for (const name of files) {
    expect(statSync(fileOf(name)).size, name).toBeLessThanOrEqual(4096);
    expect(
      [...checkTrace(openTrace(fileOf(name)))].map(({ kind }) => kind),
      name,
    ).toEqual(wrongAnswers[name] === undefined ? [] : [wrongAnswers[name]]);
  }
});

for (const [times, options] of often) {
  test(`each fails on the stock library, ${times} of ${times}`, options, async () => {
    const port = await startStock();
    for (const [name, kind] of Object.entries(wrongAnswers)) {
      expect(await again(times, () => wrongAnswer(port, name)), name).toEqual(Array(times).fill(kind));
    }
    for (const name of noAnswers) {
      const missing = await again(times, () => missingAnswer(port, name, stockMs));
      expect(missing, name).toEqual(Array(times).fill("nothing"));
      // It is the one who waits that gets nothing.
      expect(await answers({ address: { host: "127.0.0.1", port }, parameters: {} }, oursMs)).toBe(true);
    }
    // Once: it takes a new server each time (gallery.long.test.ts).
    expect(await missingAnswer(port, lastAnswer, stockMs)).toBe("nothing");
  });
}

describe("on a server of ours", () => {
  const served = servedDb();

  for (const [times, options] of often) {
    test.each(Object.keys(wrongAnswers))(`%s: each gets its own, ${times} of ${times}`, options, async (name) => {
      expect(await again(times, () => wrongAnswer(served.db.port, name))).toEqual(Array(times).fill(undefined));
    });

    test.each([...noAnswers, lastAnswer])(`%s: all is answered, ${times} of ${times}`, options, async (name) => {
      const missing = await again(times, () => missingAnswer(served.db.port, name, oursMs));
      expect(missing).toEqual(Array(times).fill(undefined));
    });
  }
});
