import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { IdleTimers } from "../../../../src/engine/thread/sessions/idle-timers.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function timers() {
  const alarmed: string[] = [];
  return { alarmed, timers: new IdleTimers<string>((session) => void alarmed.push(session)) };
}

test("each session is alarmed once, in the order of the times", () => {
  const { alarmed, timers: idle } = timers();
  const now = performance.now();
  idle.set("late", now + 200);
  idle.set("soon", now + 100);
  idle.set("never", undefined);
  expect(idle.next).toBe(now + 100);
  vi.advanceTimersByTime(150);
  expect(alarmed).toEqual(["soon"]);
  expect(idle.next).toBe(now + 200);
  vi.advanceTimersByTime(1000);
  expect(alarmed).toEqual(["soon", "late"]);
  expect(idle.next).toBe(Number.POSITIVE_INFINITY);
});

test("a session that runs again is not alarmed, and its new time counts", () => {
  const { alarmed, timers: idle } = timers();
  idle.set("one", performance.now() + 100);
  idle.set("other", performance.now() + 100);
  idle.clear("other");
  idle.set("one", performance.now() + 300);
  vi.advanceTimersByTime(200);
  expect(alarmed).toEqual([]);
  vi.advanceTimersByTime(200);
  expect(alarmed).toEqual(["one"]);
});

test("a time in the past or beyond what a timer can take is no mistake", () => {
  const { alarmed, timers: idle } = timers();
  idle.set("past", performance.now() - 5);
  idle.set("far", performance.now() + 2 ** 40);
  vi.advanceTimersByTime(1);
  expect(alarmed).toEqual(["past"]);
});
