/**
 * `db.clock`, as a caller of the library gets it.
 *
 * Owns: what times and spans may be given as, and where there is no clock. Does not own: the clock (`thread/server-clock.ts`).
 */
import type { ClockChange } from "../engine/clock.ts";
import { UsageError } from "../errors.ts";
import type { ClockSpan, DevDbClock } from "./handle.ts";
import type { OpenedDevDb } from "./open.ts";

const unitsMs: Readonly<Record<keyof ClockSpan, number>> = {
  days: 86_400_000,
  hours: 3_600_000,
  minutes: 60_000,
  seconds: 1000,
  milliseconds: 1,
};

/** That of a database. */
export function clockOf({ changeClock, withoutClock }: Pick<OpenedDevDb, "changeClock" | "withoutClock">): DevDbClock {
  const change = async (asked: ClockChange): Promise<void> => {
    if (!changeClock) throw new UsageError(`db.clock ${withoutClock}`);
    await changeClock(asked);
  };
  return {
    set: async (time) => change({ do: "set", to: readTime(time) }),
    advance: async (by) => change({ do: "advance", by: readSpan(by) }),
    discrete: async (on) => change({ do: "discrete", on: readSwitch(on) }),
    reset: () => change({ do: "reset" }),
  };
}

function readTime(time: Date | string | number): number {
  const ms = new Date(time).getTime();
  if (Number.isNaN(ms)) throw new UsageError(`db.clock.set(): ${JSON.stringify(time)} is no time`);
  return ms;
}

/** What comes from JavaScript may be anything. */
function readSwitch(on: unknown): boolean {
  if (typeof on === "boolean") return on;
  throw new UsageError(`db.clock.discrete(): ${JSON.stringify(on)} is neither true nor false`);
}

function readSpan(by: ClockSpan | number): number {
  if (typeof by !== "number" && (typeof by !== "object" || by === null))
    throw new UsageError(`db.clock.advance(): ${JSON.stringify(by)} is no time: { days: 30 }, or milliseconds`);
  const parts: [string, number][] = typeof by === "number" ? [["milliseconds", by]] : Object.entries(by);
  let ms = 0;
  for (const [unit, count] of parts) {
    const unitMs = Object.hasOwn(unitsMs, unit) ? unitsMs[unit as keyof ClockSpan] : undefined;
    if (unitMs === undefined)
      throw new UsageError(`db.clock.advance(): what is ${unit}? There are ${Object.keys(unitsMs).join(", ")}`);
    if (!Number.isFinite(count)) throw new UsageError(`db.clock.advance(): ${unit}: ${count} is no number`);
    ms += count * unitMs;
  }
  return ms;
}
