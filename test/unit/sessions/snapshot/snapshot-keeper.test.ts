/** When a snapshot is written: when nobody has asked for anything, or at the end of a server that has the time. */
import { beforeEach, expect, test, vi } from "vitest";
import { SnapshotKeeper } from "../../../../src/sessions/snapshot/snapshot-keeper.ts";

let load = 0;
const snapshot = { isDue: true, tookMs: 70, keep: vi.fn(keep) };
function keep(): boolean {
  snapshot.isDue = false;
  return false;
}

beforeEach(() => {
  vi.useFakeTimers();
  const began = Date.now();
  vi.spyOn(process, "threadCpuUsage").mockImplementation(() => ({
    user: (Date.now() - began) * load * 1000,
    system: 0,
  }));
  Object.assign(snapshot, { isDue: true, tookMs: 70 });
  load = 0;
  snapshot.keep.mockClear();
  return () => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  };
});

test("once, after a second of rest", () => {
  const keeper = new SnapshotKeeper(snapshot);
  keeper.keepWhenIdle();
  vi.advanceTimersByTime(900);
  expect(snapshot.keep).not.toHaveBeenCalled();
  vi.advanceTimersByTime(200);
  expect(snapshot.keep).toHaveBeenCalledTimes(1);
  keeper.keepAtStop();
  vi.advanceTimersByTime(100_000);
  expect(snapshot.keep).toHaveBeenCalledTimes(1);
});

test("not while the server computes, but at its end", () => {
  load = 0.5;
  const keeper = new SnapshotKeeper(snapshot);
  keeper.keepWhenIdle();
  vi.advanceTimersByTime(60_000);
  expect(snapshot.keep).not.toHaveBeenCalled();
  keeper.keepAtStop();
  expect(snapshot.keep).toHaveBeenCalledTimes(1);
});

test("not at the end of one on a busy machine, nor where there is none", () => {
  snapshot.tookMs = 500;
  new SnapshotKeeper(snapshot).keepAtStop();
  Object.assign(snapshot, { isDue: false, tookMs: 0 });
  const keeper = new SnapshotKeeper(snapshot);
  keeper.keepWhenIdle();
  keeper.keepAtStop();
  vi.advanceTimersByTime(10_000);
  expect(snapshot.keep).not.toHaveBeenCalled();
});
