/**
 * What an exploration takes and what it tells.
 *
 * Owns: the public types. Does not own: how it is found out (`explore.ts`).
 */
import type { Sql } from "./sql.ts";

/**
 * Anything that uses the database: an unmodified part of an application, with its own driver and pool. It may be run by another process;
 * then it is a request to that. `signal` is aborted when a schedule cannot go on because of actors that wait for ever.
 */
export type Actor = (context: { readonly signal: AbortSignal }) => Promise<unknown>;

/** What has become of the actors, by their names. */
export type Results<Name extends string = string> = Readonly<Record<Name, PromiseSettledResult<unknown>>>;

/** One thing that an actor sent, in the order in which they went on. */
export interface ScheduleStep {
  readonly actor: string;
  /** The statements that it sent at once. */
  readonly sql: string;
  /** The process id of the session. */
  readonly connection: number;
  /** It had to wait; for these, where they are known. */
  readonly isBlocked: boolean;
  readonly blockedBy: readonly string[];
  /** Whose waits it ended. */
  readonly woke: readonly string[];
  /** The SQLSTATE of its error. */
  readonly code?: string;
}

/** A schedule that breaks the invariant. */
export interface Schedule<Name extends string = string> {
  readonly steps: readonly ScheduleStep[];
  readonly results: Results<Name>;
  /** What was broken, in a sentence. */
  readonly failure: string;
  /** For `replay`. */
  readonly decisions: string;
  /** For a person: a lane for each actor. */
  readonly table: string;
  /** The file that it was recorded into. */
  readonly trace?: string;
  /** Why it was not recorded, although it was to be. */
  readonly untraced?: string;
}

// biome-ignore lint/suspicious/noConfusingVoidType: a function that gives nothing, as one of assertions, is one.
type Verdict = boolean | void;

/** What is needed of a server: a `DevDb` has it all. */
interface ExploredDb {
  readonly url: string;
  snapshot?(name: string): Promise<void>;
  restore?(name: string): Promise<void>;
}

/** What `explore` takes. */
export interface ExploreOptions<Name extends string = string> {
  /** What `startDevDb` gives, or the URL of such a server with a session for each connection. */
  readonly db: ExploredDb;
  readonly actors: Readonly<Record<Name, Actor>>;
  /**
   * Makes the data as it was, before each schedule. Without it the whole server is brought back to what it was before the first one, as
   * `db.restore()` does, which a server in memory that this process has started can.
   */
  readonly reset?: ((sql: Sql) => Promise<unknown>) | undefined;
  /** Looked at after each schedule: it is broken by `false`, and by whatever it throws. */
  readonly invariant: (sql: Sql, results: Results<Name>) => Verdict | Promise<Verdict>;
  /**
   * `exhaustive` by default. `dpor` runs one of all those schedules that come to the same for the database. Random ones are chosen by a seed, which
   * the report has.
   */
  readonly strategy?: "exhaustive" | "dpor" | { readonly random: number; readonly seed?: number };
  /** So many schedules are run at most; 10,000 by default. */
  readonly schedules?: number;
  /** Ends with the first schedule that breaks the invariant. */
  readonly stopAtFirst?: boolean;
  /** An actor that has sent nothing for so long is taken for one that waits outside of the database; 200 by default. */
  readonly silenceMs?: number;
  /** Runs this one schedule only: the `decisions` of one that was found. */
  readonly replay?: string;
  /** The first schedule that breaks the invariant is recorded into this file, for `pglite-devdb trace`. */
  readonly trace?: string;
}

/** What was found. */
export interface ExploreReport<Name extends string = string> {
  /** How many were run to their end and judged. */
  readonly schedules: number;
  /** In how many orders the statements of the longest of them could be put, if nobody ever had to wait. */
  readonly orders: number;
  /** Whether every schedule was run without doubt, and each actor succeeded in at least one. */
  readonly complete: boolean;
  readonly failing: readonly Schedule<Name>[];
  /** What has become of the actors, in words, and how often. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** The actors that failed in every schedule, with their last failure: their work was not explored. */
  readonly failed: Readonly<Record<string, string>>;
  /** How often which SQLSTATE was answered. */
  readonly codes: Readonly<Record<string, number>>;
  /** How often an actor was waited for in vain: it waits for something else than the database. */
  readonly silences: number;
  /** How often something was sent by nobody knows whom. It was let through at once. */
  readonly strays: number;
  /** How many schedules took another path than the one that they were to take, three times in a row; they are not judged. */
  readonly diverged: number;
  /** Why it ended before it was through. */
  readonly stopped?: string;
  readonly seed?: number;
}
