/**
 * A specification of PostgreSQL's isolation suite as data.
 *
 * Owns: the shapes. Does not own: how they are read (`parse-spec.ts`) or run (`run-permutation.ts`).
 * Mirrors "Test specification" in src/test/isolation/README of PostgreSQL's source.
 */

/** One named piece of SQL; a session runs its steps in its own connection. */
export interface Step {
  readonly name: string;
  readonly sql: string;
  /** Index of its session. */
  readonly session: number;
}

/** One connection of a specification. */
export interface Session {
  readonly name: string;
  readonly setup: string | undefined;
  readonly steps: readonly Step[];
  readonly teardown: string | undefined;
}

/**
 * What delays the report that a step has completed: `launch`: it is reported as waiting at first, whatever it does;
 * `step`: until that step is no longer active; `notices`: until that step's session has sent so many notices.
 */
export type Blocker =
  | { readonly kind: "launch" }
  | { readonly kind: "step"; readonly step: Step }
  | { readonly kind: "notices"; readonly step: Step; readonly count: number };

/** A step at its place in a permutation. */
export interface PlacedStep {
  readonly step: Step;
  readonly blockers: readonly Blocker[];
}

/** An order of steps. */
export type Permutation = readonly PlacedStep[];

/** A whole specification. */
export interface Spec {
  readonly setups: readonly string[];
  readonly teardown: string | undefined;
  readonly sessions: readonly Session[];
  /** As written; every interleaving of the sessions where none is written. */
  readonly permutations: readonly Permutation[];
  /** Steps that no written permutation uses; the tester warns of them. */
  readonly unusedSteps: readonly string[];
}

/** The names of a permutation's steps, as the tester prints them. */
export function permutationName(permutation: Permutation): string {
  return permutation.map(({ step }) => step.name).join(" ");
}
