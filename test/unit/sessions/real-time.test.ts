/** The machine's time with microseconds, from two clocks that differ, are set, and are looked at one after the other. */
import { afterEach, expect, test, vi } from "vitest";
import { RealTime } from "../../../src/sessions/real-time.ts";

const start = 1_700_000_000_000;
/** The true time in ms since `start`, by how much the machine's clock was set since, and what happens before the next look at it. */
let passed = 0;
let setBy = 0;
let beforeWall: (() => void) | undefined;

function mockClocks(): void {
  passed = 0.4;
  setBy = 0;
  beforeWall = undefined;
  vi.spyOn(performance, "now").mockImplementation(() => 1000 + passed);
  vi.spyOn(Date, "now").mockImplementation(() => {
    const before = beforeWall;
    beforeWall = undefined;
    before?.();
    return Math.floor(start + passed + setBy);
  });
}
afterEach(() => vi.restoreAllMocks());

/** Both are multiples of about 0.0002, as numbers of this size are. */
const near = (ms: number) => expect.closeTo(ms, 2);

test("time has the fraction that performance.now() has, within the millisecond of Date.now()", () => {
  mockClocks();
  const time = new RealTime();
  passed = 0.65;
  expect(time.nowMs - start).toEqual(near(0.25));
  for (let step = 0; step < 2000; step++) {
    passed += 0.0107;
    expect(Math.floor(time.nowMs)).toBe(Date.now());
  }
  // By then the origin is right.
  expect(time.nowMs - start - passed).toEqual(near(0));
});

test.each([86_400_000, -86_400_000, 5, -5])("time follows a clock that is set by %d ms", (ms) => {
  mockClocks();
  const time = new RealTime();
  time.nowMs;
  setBy = ms;
  passed += 0.01;
  expect(Math.abs(time.nowMs - start - passed - ms)).toBeLessThanOrEqual(1);
});

test("time does not jump when the thread stands still between a look at one clock and at the other", () => {
  mockClocks();
  const time = new RealTime();
  beforeWall = () => {
    passed += 20;
  };
  const first = time.nowMs;
  expect(Math.abs(first - start - passed)).toBeLessThanOrEqual(1);
  passed += 0.001;
  expect(time.nowMs - first).toEqual(near(0.001));
});

test("time stands still rather than goes back while the clocks differ by less than a millisecond", () => {
  mockClocks();
  const time = new RealTime();
  let last = time.nowMs;
  for (let step = 0; step < 1000; step++) {
    passed += 0.01;
    setBy -= 0.002;
    const now = time.nowMs;
    expect(now).toBeGreaterThanOrEqual(last);
    last = now;
  }
});
