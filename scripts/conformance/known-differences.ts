/**
 * Permutations whose output is known to differ from the suite's expected files, each with its reason.
 *
 * Owns: the list. Does not own: the comparison (`judge.ts`).
 * Invariant: an entry says why; where the difference is one of wording it says which words, and then nothing else may
 * differ. An entry that no longer applies is reported.
 */

/** Why one or all permutations of a specification differ. */
export interface KnownDifference {
  readonly spec: string;
  /** The step names of the permutation, separated by blanks; all permutations of the specification by default. */
  readonly permutation?: string;
  readonly reason: string;
  /** Only for servers whose `version()` has this in it; for all by default. */
  readonly server?: string;
  /** The expected text becomes the actual one when each first string is replaced by the second. */
  readonly wording?: readonly (readonly [expected: string, actual: string])[];
}

const constraintNames =
  "PostgreSQL 18 names the constraints that it makes for partitions of a foreign key _fkey_1; the suite is of an earlier 18devel, which named them _fkey1. Any PostgreSQL 18 differs.";

/** What is known of a server, by its `version()`. */
export function knownDifferences(version: string): KnownDifference[] {
  return list.filter(({ server = "" }) => version.includes(server));
}

const list: readonly KnownDifference[] = [
  { spec: "fk-partitioned-1", reason: constraintNames, wording: [["pfk_a_fkey1", "pfk_a_fkey_1"]] },
  { spec: "fk-partitioned-2", reason: constraintNames, wording: [["pfk_a_fkey1", "pfk_a_fkey_1"]] },
  {
    spec: "detach-partition-concurrently-2",
    reason: constraintNames,
    wording: [["d_lp_fk_r_a_fkey1", "d_lp_fk_r_a_fkey_1"]],
  },
  {
    spec: "deadlock-parallel",
    server: "emscripten",
    reason:
      "There are no parallel workers in WebAssembly: what a worker would wait for, its leader waits for itself, so that another session of the deadlock goes on first.",
  },
  { spec: "detach-partition-concurrently-4", reason: constraintNames, wording: [["d4_fk_a_fkey1", "d4_fk_a_fkey_1"]] },
];
