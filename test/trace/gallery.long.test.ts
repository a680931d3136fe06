/**
 * What of the gallery leaves the stock library answering nobody: it takes a new server each time.
 *
 * @module-tag long
 */
import { expect, test } from "vitest";
import { answers } from "../../src/trace/replay/probe.ts";
import { lastAnswer, missingAnswer } from "./support/gallery.ts";
import { startStock } from "./support/recorded.ts";

const times = 20;

test(`${lastAnswer}: on the stock library, ${times} of ${times}`, async () => {
  const found: unknown[] = [];
  for (let time = 0; time < times; time++) {
    const port = await startStock();
    const target = { address: { host: "127.0.0.1", port }, parameters: {} };
    const before = await answers(target, 10_000);
    const missing = await missingAnswer(port, lastAnswer, 500);
    found.push([before, missing, await answers(target, 1000)]);
  }
  expect(found).toEqual(Array(times).fill([true, "nothing", false]));
});
