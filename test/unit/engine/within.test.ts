/** Waiting for something that may never happen. */
import { expect, test, vi } from "vitest";
import { within } from "../../../src/engine/within.ts";

test("no timer outlives the call, also if what is waited for fails", async () => {
  vi.useFakeTimers();
  try {
    await expect(within(1000, Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(await within(1000, Promise.resolve())).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});
