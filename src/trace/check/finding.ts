/**
 * What is wrong in a trace.
 *
 * Owns: the kinds of findings. Does not own: how one is found (the other files here).
 */

/**
 * `foreign answer`: of a statement that somebody else asked for. `torn pipeline`: a reply where another one was due.
 * `ReadyForQuery count`: one more than pipelines. `leaked state`: a setting, transaction or statement of somebody else.
 */
type FindingKind = "foreign answer" | "torn pipeline" | "ReadyForQuery count" | "leaked state";

/** A finding without its place. */
export interface Problem {
  readonly kind: FindingKind;
  /** What came, and why it cannot be. */
  readonly sentence: string;
}

/** A finding. */
export interface Finding extends Problem {
  readonly file: string;
  readonly line: number;
  readonly time: number;
  readonly connection: number;
}
