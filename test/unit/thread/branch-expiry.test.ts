/** When a branch is dropped that nobody uses. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { BranchExpiry } from "../../../src/thread/branch-expiry.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A server whose branches nobody is connected to when somebody looks. */
function serverWith(...branches: string[]) {
  const unused = new Set(branches);
  const expiry = new BranchExpiry(
    { unused: async () => [...unused], dropUnused: async (database) => void unused.delete(database) },
    4000,
  );
  return { expiry, unused };
}

test("one that nobody has connected to for the time is dropped, and not before", async () => {
  const { expiry, unused } = serverWith("a~1");
  await vi.advanceTimersByTimeAsync(4900);
  expect([...unused]).toEqual(["a~1"]);
  await vi.advanceTimersByTimeAsync(200);
  expect([...unused]).toEqual([]);
  expiry.close();
  expect(vi.getTimerCount()).toBe(0);
});

test("who connects between two looks has used it", async () => {
  const { expiry, unused } = serverWith("a~1", "a~2");
  for (let i = 0; i < 10; i++) {
    await vi.advanceTimersByTimeAsync(1500);
    expiry.used("a~1");
  }
  expect([...unused]).toEqual(["a~1"]);
  await vi.advanceTimersByTimeAsync(6000);
  expect([...unused]).toEqual([]);
});

test("who connects while it is being looked counts", async () => {
  let answer: (unused: string[]) => void = () => {};
  const dropped: string[] = [];
  const expiry = new BranchExpiry(
    {
      unused: () =>
        new Promise((resolve) => {
          answer = resolve;
        }),
      dropUnused: async (database) => void dropped.push(database),
    },
    4000,
  );
  for (let i = 0; i < 5; i++) {
    await vi.advanceTimersByTimeAsync(1000);
    expiry.used("a~1");
    answer(["a~1"]);
    await vi.advanceTimersByTimeAsync(0);
  }
  expect(dropped).toEqual([]);
});
