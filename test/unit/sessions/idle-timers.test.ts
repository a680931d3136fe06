import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Clock } from "../../../src/sessions/clock.ts";
import { IdleTimers } from "../../../src/sessions/idle-timers.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const never = Number.POSITIVE_INFINITY;

function timers() {
  const alarmed: string[] = [];
  const clock = new Clock();
  const idle = new IdleTimers<string>(clock, (session) => void alarmed.push(session));
  const set = (session: string, ms: number) => idle.set(session, { idle: performance.now() + ms, other: never });
  return { alarmed, clock, idle, set };
}

test("each session is alarmed once, in the order of the times", () => {
  const { alarmed, set } = timers();
  set("late", 200);
  set("soon", 100);
  set("never", never);
  vi.advanceTimersByTime(150);
  expect(alarmed).toEqual(["soon"]);
  vi.advanceTimersByTime(1000);
  expect(alarmed).toEqual(["soon", "late"]);
});

test("a session that runs again is not alarmed, and its new time counts", () => {
  const { alarmed, idle, set } = timers();
  set("one", 100);
  set("other", 100);
  idle.clear("other");
  set("one", 300);
  vi.advanceTimersByTime(200);
  expect(alarmed).toEqual([]);
  vi.advanceTimersByTime(200);
  expect(alarmed).toEqual(["one"]);
});

test("a time in the past or beyond what a timer can take is no mistake", () => {
  const { alarmed, set } = timers();
  set("past", -5);
  set("far", 2 ** 40);
  vi.advanceTimersByTime(1);
  expect(alarmed).toEqual(["past"]);
});

test("a jump of the clock is over what runs by the clock, and not how long a client idles", () => {
  const { alarmed, clock, idle } = timers();
  const inAnHour = () => ({ idle: performance.now() + 3_600_000, other: never });
  idle.set("client", inAnHour());
  idle.set("transaction", { idle: performance.now() + 7_200_000, other: clock.nowMs + 3_600_000 });
  clock.jump(3_000_000);
  vi.advanceTimersByTime(599_000);
  expect(alarmed).toEqual([]);
  vi.advanceTimersByTime(2000);
  expect(alarmed).toEqual(["transaction"]);
  vi.advanceTimersByTime(3_600_000);
  expect(alarmed).toEqual(["transaction", "client"]);
});
