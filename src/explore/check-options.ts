/**
 * What `explore` is given, before anything is begun.
 *
 * Owns: which values make sense. Does not own: what they mean (`report.ts`).
 */
import { UsageError } from "../errors.ts";
import type { ExploreOptions } from "./report.ts";

/** Throws a `UsageError` for the first that does not. */
export function checkOptions({ actors, strategy = "exhaustive", schedules, silenceMs }: ExploreOptions): void {
  if (Object.keys(actors).length === 0) throw new UsageError("explore needs an actor at least");
  for (const [name, actor] of Object.entries(actors)) {
    if (typeof actor !== "function") throw new UsageError(`the actor "${name}" is no function`);
  }
  if (strategy !== "exhaustive" && strategy !== "dpor") {
    if (typeof strategy !== "object") throw new UsageError('strategy is "exhaustive", "dpor" or { random, seed }');
    requireWhole("strategy.random", strategy.random, 1);
    if (strategy.seed !== undefined) requireWhole("strategy.seed", strategy.seed, 0);
  }
  if (schedules !== undefined) requireWhole("schedules", schedules, 1);
  if (silenceMs !== undefined && !(silenceMs > 0 && silenceMs <= longestMs))
    throw new UsageError(`silenceMs is a number of milliseconds from above 0 to ${longestMs}, not ${silenceMs}`);
}

/** Of a timer. */
const longestMs = 2 ** 31 - 1;

function requireWhole(name: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least)
    throw new UsageError(`${name} is a whole number from ${least}, not ${value}`);
}
