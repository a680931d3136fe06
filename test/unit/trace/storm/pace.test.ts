/** The clients of a storm stay abreast, and nobody waits for one that has ended. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { Pace } from "../../../../src/trace/storm/pace.ts";

/** The highest number that a client may begin when it begins one after the other. */
async function advance(pace: Pace, client: number, upTo: number): Promise<{ reached: () => number }> {
  let reached = -1;
  void (async () => {
    for (let query = 0; query <= upTo; query++) {
      await pace.begin(client, query);
      reached = query;
    }
  })();
  await nextTurn();
  return { reached: () => reached };
}

test("a client that is far ahead waits for the slowest one", async () => {
  const pace = new Pace(3);
  const quick = await advance(pace, 0, 100);
  expect(quick.reached()).toBe(4);
  await pace.begin(1, 3);
  await nextTurn();
  expect(quick.reached()).toBe(4);
  await pace.begin(2, 2);
  await nextTurn();
  expect(quick.reached()).toBe(6);
});

test("a client that has ended holds nobody up", async () => {
  const pace = new Pace(2);
  const quick = await advance(pace, 0, 100);
  pace.end(1);
  await nextTurn();
  expect(quick.reached()).toBe(100);
});

test("a release lets everybody go on", async () => {
  const pace = new Pace(2);
  const quick = await advance(pace, 0, 100);
  pace.release();
  await nextTurn();
  expect(quick.reached()).toBe(100);
});
