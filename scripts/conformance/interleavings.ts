/**
 * Every order in which the sessions of a specification can run their steps.
 *
 * Owns: the orders, and their order: the first session goes on as long as it can. Does not own: written permutations.
 * Invariant: the steps of one session stay in their order. Mirrors run_all_permutations() in isolationtester.c.
 */
import type { Permutation, PlacedStep, Session } from "./spec.ts";

/** All interleavings of the sessions' steps. */
export function interleavings(sessions: readonly Session[]): Permutation[] {
  const found: Permutation[] = [];
  const extend = (chosen: readonly PlacedStep[], taken: readonly number[]): void => {
    let complete = true;
    sessions.forEach(({ steps }, session) => {
      const step = steps[taken[session]!];
      if (!step) return;
      complete = false;
      extend([...chosen, { step, blockers: [] }], taken.with(session, taken[session]! + 1));
    });
    if (complete) found.push(chosen);
  };
  extend(
    [],
    sessions.map(() => 0),
  );
  return found;
}
