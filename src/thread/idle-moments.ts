/**
 * Moments in which no session has anything to do.
 *
 * Owns: waiting for one. Does not own: what is done then. Invariant: waiting does not prolong the life of the thread, and costs next to nothing.
 */
import { limits } from "../limits.ts";
import type { SessionHost } from "../sessions/host.ts";

/** How long it is between two looks at most. */
const longestMs = 25;

/**
 * Calls `fn` when no session has had a turn for a moment, unless it is stopped before. In discrete time, and while somebody decides who goes on, there is no such
 * moment: what is done then would be between what they do.
 */
export function onceNobodyRuns({ scheduler }: Pick<SessionHost, "scheduler">, fn: () => void): { stop(): void } {
  let timer: NodeJS.Timeout;
  const look = (turns: number, ms: number): void => {
    timer = setTimeout(() => {
      const isQuiet = scheduler.turns === turns && !scheduler.running;
      if (isQuiet && !scheduler.mayJump && scheduler.decided.size === 0) fn();
      else look(scheduler.turns, Math.min(longestMs, ms * 1.5));
    }, ms).unref();
  };
  look(scheduler.turns, limits.prepareIdleMs);
  return { stop: () => clearTimeout(timer) };
}
