/**
 * What happened in a run: figures, and what was wrong.
 *
 * Owns: the figures of all clients together, and the list of failures. Does not own: what counts as a failure, or how the
 * figures read (`report.ts`).
 * Invariant: a failure is never lost; at most `mostFailures` are kept with their text.
 */

const mostFailures = 20;

/** See the head of the file. */
export class Counts {
  /** Statements and groups of statements, by kind. */
  readonly kinds = new Map<string, number>();
  /** Errors of PostgreSQL that were to be expected, by SQLSTATE. */
  readonly errors = new Map<string, number>();
  readonly failures: string[] = [];
  failed = 0;
  statements = 0;
  commits = 0;
  rollbacks = 0;
  /** COMMITs whose answer was lost. */
  unknown = 0;
  sessions = 0;
  cancels = 0;
  terminations = 0;
  hangUps = 0;
  kills = 0;
  cleanEnds = 0;
  notifications = 0;
  /** Rounds of checks with the clients paused, and what they looked at. */
  checks = 0;
  indexes = 0;
  tables = 0;
  readonly onFailure: (text: string) => void;

  constructor(onFailure: (text: string) => void) {
    this.onFailure = onFailure;
  }

  /** Counts something by its kind. */
  did(kind: string): void {
    this.kinds.set(kind, (this.kinds.get(kind) ?? 0) + 1);
  }

  /** Counts an error that was to be expected. */
  expected(state: string): void {
    this.errors.set(state, (this.errors.get(state) ?? 0) + 1);
  }

  /** Notes what is wrong. */
  fail(text: string): void {
    this.failed++;
    if (this.failures.length >= mostFailures) return;
    this.failures.push(text);
    this.onFailure(text);
  }
}
