import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { UsageError } from "../../../src/errors.ts";
import { closePostgres } from "../../../src/testing/close-postgres.ts";

/** A stub of a client: its `end` is settled by the test. */
function clientWithOpenEnd() {
  let resolve!: () => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<void>((...settle) => {
    [resolve, reject] = settle;
  });
  return { client: { end: vi.fn(() => promise) }, resolve, reject };
}

const timeouts = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;

const unhandled: unknown[] = [];
const onUnhandled = (reason: unknown) => void unhandled.push(reason);
beforeEach(() => {
  unhandled.length = 0;
  process.on("unhandledRejection", onUnhandled);
});
afterEach(() => {
  vi.useRealTimers();
  process.off("unhandledRejection", onUnhandled);
});

describe("closing a stub of a client", () => {
  test("waits for its end, and not for the ceiling", async () => {
    const { client, resolve } = clientWithOpenEnd();
    let outcome: unknown;
    const closing = closePostgres(client).then((result) => {
      outcome = result;
    });
    await new Promise(setImmediate);
    expect(outcome).toBeUndefined();
    resolve();
    await closing;
    expect(outcome).toBe("closed");
  });

  test("gives up at the ceiling, 5 seconds by default", async () => {
    vi.useFakeTimers();
    const { client } = clientWithOpenEnd();
    let outcome: unknown;
    const closing = closePostgres(client).then((result) => {
      outcome = result;
    });
    await vi.advanceTimersByTimeAsync(4_999);
    expect(outcome).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    await closing;
    expect(outcome).toBe("timed out");
  });

  test("reports a failing end, thrown or rejected, and never rejects", async () => {
    const error = new Error("no end");
    expect(await closePostgres({ end: () => Promise.reject(error) })).toEqual({ failed: error });
    const throwing = {
      end: () => {
        throw error;
      },
    };
    expect(await closePostgres(throwing)).toEqual({ failed: error });
  });

  test("leaves no unhandled rejection when the end fails after the ceiling", async () => {
    const { client, reject } = clientWithOpenEnd();
    expect(await closePostgres(client, { timeoutMs: 1 })).toBe("timed out");
    reject(new Error("too late"));
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    expect(unhandled).toEqual([]);
  });

  test("ends it once for any number of callers, each with a ceiling of its own", async () => {
    const { client, resolve } = clientWithOpenEnd();
    const first = closePostgres(client, { timeoutMs: 1 });
    const second = closePostgres(client);
    expect(await first).toBe("timed out");
    resolve();
    expect(await second).toBe("closed");
    expect(await closePostgres(client)).toBe("closed");
    expect(client.end).toHaveBeenCalledOnce();
  });

  test("has no timer that keeps the process alive while it waits", async () => {
    const before = timeouts();
    const { client, resolve } = clientWithOpenEnd();
    const closing = closePostgres(client);
    expect(timeouts()).toBe(before);
    resolve();
    await closing;
  });

  test("clears its timer when the end comes first", async () => {
    vi.useFakeTimers();
    await closePostgres({ end: async () => {} });
    expect(vi.getTimerCount()).toBe(0);
  });

  test("passes a timeout in seconds only to a function, as postgres.js is one", async () => {
    const end = vi.fn(async (_options?: { timeout?: number }) => {});
    await closePostgres(
      Object.assign(() => {}, { end }),
      { timeoutMs: 2_000 },
    );
    expect(end).toHaveBeenLastCalledWith({ timeout: 2.001 });
    await closePostgres({ end }, { timeoutMs: 2_000 });
    expect(end).toHaveBeenLastCalledWith();
  });

  test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 3_600_001])(
    "refuses a ceiling of %d and ends nothing",
    async (timeoutMs) => {
      const end = vi.fn(async () => {});
      const closing = closePostgres({ end }, { timeoutMs });
      await expect(closing).rejects.toThrow(UsageError);
      await expect(closing).rejects.toThrow(`timeoutMs is ${timeoutMs}; it takes a whole number`);
      expect(end).not.toHaveBeenCalled();
    },
  );
});
