/**
 * Why a schedule cannot go on, in words.
 *
 * Owns: who is said to wait for what. Does not own: that nobody can go on (`schedule-run.ts`).
 */
import type { ScheduleStep } from "./report.ts";

/** `names`: the actors that have not ended; `steps`: what waits for a lock, also what was let through at once: `stray`. */
export function describeStuck(names: readonly string[], steps: readonly ScheduleStep[]): string {
  const known = new Map(steps.map((step) => [step.actor, step]));
  const others = names.filter((name) => !known.has(name));
  // It is not known who sent it, but nobody waits for himself.
  const senders = new Map(
    steps
      .filter(({ actor }) => actor === stray)
      .map((step) => [step, others.filter((name) => !step.blockedBy.includes(name))]),
  );
  const words = names.map((name) => {
    const step = known.get(name);
    if (step) return waitOf(name, step);
    const isSender = [...senders.values()].some((maybe) => maybe.includes(name));
    return isSender ? [] : `${name} waits for something outside of the database`;
  });
  const strays = [...senders].map(([step, maybe]) => waitOf(maybe.join(" or ") || "a stray", step));
  return `nobody can go on: ${[...words.flat(), ...strays].join("; ")}`;
}

/** The actor of a step of which it is not known. */
export const stray = "";

function waitOf(name: string, { blockedBy, sql }: ScheduleStep): string {
  if (blockedBy.length === 0) return `${name} does not come to an end (${sql})`;
  return `${name} waits for a lock of ${blockedBy.join(", ")} (${sql})`;
}
