/** When code is kept: when nobody has asked for anything, if it is due, and ever less often. */
import { beforeEach, expect, test, vi } from "vitest";
import type { SessionHost } from "../../../../src/sessions/host.ts";
import { CodeKeeper } from "../../../../src/sessions/module/code-keeper.ts";

const code = { isDue: true, keep: vi.fn(() => true) };
/** What the thread computes in each ms. */
let load = 0;

beforeEach(() => {
  vi.useFakeTimers();
  const began = Date.now();
  vi.spyOn(process, "threadCpuUsage").mockImplementation(() => {
    return { user: (Date.now() - began) * load * 1000, system: 0 };
  });
  code.isDue = true;
  load = 0;
  code.keep.mockClear();
  return () => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  };
});

const small = () => 0;
const host = { machine: { exports: { emscripten_stack_get_current: small } } } as unknown as SessionHost;
const keeper = () => new CodeKeeper(code, host);

test("a server that idles keeps it after 20 seconds and one of rest, then after twice as long each time", () => {
  keeper().keepWhenIdle();
  vi.advanceTimersByTime(20_500);
  expect(code.keep).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1000);
  expect(code.keep.mock.calls).toEqual([[small]]);
  vi.advanceTimersByTime(39_000);
  expect(code.keep).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(3000);
  expect(code.keep).toHaveBeenCalledTimes(2);
  // Not more than once a day, nor less often; a timer of more than 24 days would fire at once.
  vi.advanceTimersByTime(60 * 24 * 3_600_000);
  expect(code.keep.mock.calls.length).toBeGreaterThan(60);
  expect(code.keep.mock.calls.length).toBeLessThan(80);
});

test("nobody waits for it: one that computes keeps it when it has come to rest, once", () => {
  load = 0.5;
  keeper().keepWhenIdle();
  vi.advanceTimersByTime(300_000);
  expect(code.keep).not.toHaveBeenCalled();
  load = 0;
  vi.advanceTimersByTime(3000);
  expect(code.keep).toHaveBeenCalledTimes(1);
});

test("what is not due is not kept, neither in the life of a server nor at its end", () => {
  code.isDue = false;
  keeper().keepWhenIdle();
  vi.advanceTimersByTime(100_000);
  keeper().keepAtStop();
  expect(code.keep).not.toHaveBeenCalled();
  code.isDue = true;
  keeper().keepAtStop();
  expect(code.keep).toHaveBeenCalledTimes(1);
});
