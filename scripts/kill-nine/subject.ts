/**
 * What one client changes in a run: a few objects of one kind, by the statements that PostgreSQL logs in a way of their own.
 *
 * Owns: what a client knows of its objects, and the comparison with what a database shows. Does not own: the statements
 * (`subjects/`), sending them (`changers.ts`).
 * Invariant: a change is whole or not at all. Between two kills at most one change of a subject has no answer, and only for
 * that one both states, the one before and the one after, are right.
 */
import { isDeepStrictEqual } from "node:util";
import type { Random } from "../../src/trace/storm/random.ts";

/** Runs one query message in a database, by default in the one that all subjects share, and resolves with its rows. */
export type Run = (sql: string, database?: string) => Promise<readonly Record<string, unknown>[]>;

/** A state is plain data, compared by value. */
export interface Change<S> {
  /** One query message: a statement, or a transaction. */
  readonly statement: string;
  /** Where they run; the database that all subjects share if it is left out. */
  readonly database?: string;
  readonly after: S;
  /** What else PostgreSQL may leave of this change when it has no answer. */
  readonly halfway?: S;
  /**
   * The SQLSTATE with which PostgreSQL may refuse it, once a change of the subject was interrupted: recovery does not remove
   * the files of what was never committed.
   */
  readonly refusal?: string;
}

/** One kind of objects. */
export interface Subject<S> {
  readonly name: string;
  /** Makes its objects in a new database; the state is `initial` then. */
  setUp(run: Run): Promise<unknown>;
  readonly initial: S;
  /** What a connection says before anything else. */
  readonly settings?: string;
  /** The next change of a client that knows the state. */
  next(state: S, random: Random): Change<S>;
  observe(run: Run): Promise<S>;
  /** What a kill makes of a state; the same if it is left out. */
  afterKill?(state: S): S;
  /** Whether a state that was found is an expected one; equality if it is left out. */
  matches?(found: S, expected: S): boolean;
  /** Takes away what PostgreSQL leaves of unanswered changes for its owner to take away. */
  tidy?(run: Run, state: S): Promise<S>;
}

/** How the server may have ended before the database is looked at. */
export type End = "killed" | "stopped";

/** A subject and what its client knows. */
export class Tracked<S = unknown> {
  readonly subject: Subject<S>;
  /** How many changes were answered. */
  answered = 0;
  #state: S;
  #pending: Change<S> | undefined;
  /** Whether a change has ever had no answer. */
  #wasInterrupted = false;

  constructor(subject: Subject<S>) {
    this.subject = subject;
    this.#state = subject.initial;
  }

  /** Chooses a change and notes it before its first byte is sent. */
  begin(random: Random): Change<S> {
    if (this.#pending) throw new Error(`${this.subject.name}: a change is under way`);
    this.#pending = this.subject.next(this.#state, random);
    return this.#pending;
  }

  /** The statement that has no answer. */
  get unanswered(): string | undefined {
    return this.#pending?.statement;
  }

  /** The change that was begun has been answered with an error. False if it had to succeed. */
  refuse(code: string | undefined): boolean {
    if (!this.#wasInterrupted || code === undefined || this.#pending?.refusal !== code) return false;
    this.#pending = undefined;
    return true;
  }

  /** The change that was begun has been answered. */
  settle(): void {
    if (!this.#pending) throw new Error(`${this.subject.name}: no change is under way`);
    this.#state = this.#pending.after;
    this.#pending = undefined;
    this.answered++;
  }

  /**
   * Compares with what the database shows after one of these ends, and returns what is wrong, in sentences. What is there
   * is known from then on.
   */
  async check(run: Run, ends: readonly End[]): Promise<string[]> {
    const { subject } = this;
    const found = await subject.observe(run);
    const pending = this.#pending;
    const states = [this.#state, ...(pending ? [pending.after] : [])];
    const left = (state: S, end: End) => (end === "killed" && subject.afterKill ? subject.afterKill(state) : state);
    const expected = ends.flatMap((end) => states.map((state) => left(state, end)));
    if (pending?.halfway !== undefined) expected.push(pending.halfway);
    const matches = (one: S) => (subject.matches ?? isDeepStrictEqual)(found, one);
    this.#pending = undefined;
    this.#wasInterrupted ||= pending !== undefined;
    if (!expected.some(matches)) {
      const wanted = expected.map((one) => JSON.stringify(one)).join(", or ");
      const change = pending ? `; not answered: ${pending.statement}` : "";
      return [`${subject.name}: found ${JSON.stringify(found)}, expected ${wanted}${change}`];
    }
    this.#state = subject.tidy ? await subject.tidy(run, found) : found;
    return [];
  }
}
