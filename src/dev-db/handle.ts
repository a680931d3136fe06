/**
 * What a caller of the library sees: the options, the running database, and the handle that starts and stops it.
 *
 * Owns: these types. Does not own: what stands behind them (`control.ts`).
 * Invariant: nothing here refers to PGlite or to the socket library, so that the published types need neither.
 */

import type { TransportStats } from "../engine/listener.ts";
import type { DatabaseFunction, Log, OptionValues, Sessions } from "../options.ts";

/** Options of the library; every one may be left out. Environment and package.json are not read. */
export interface DevDbOptions extends Partial<OptionsOf<LibraryOptions>> {
  /** `auto`, `none`, or directories, applied in order. */
  migrations?: string | readonly string[] | undefined;
  /** Run in order after the migrations, each once per database: files, directories, patterns, functions that get a URL. */
  seed?: OneOrMore<string | DatabaseFunction> | undefined;
  /** Relative paths are relative to this directory; the working directory if it is left out. */
  cwd?: string | undefined;
  /** Aborting it ends a running start, and closes a database that is running. */
  signal?: AbortSignal | undefined;
  /** Receives the log; without it errors and warnings are warnings of the process (`process.on("warning")`), the rest is dropped. */
  log?: Log | undefined;
}

type LibraryOptions = Omit<OptionValues, "output" | "logLevel" | "traceOnFailure" | "graceMs" | "migrations" | "seed">;
type OneOrMore<T> = T | readonly T[];
type OptionsOf<T> = { [K in keyof T]: T[K] | undefined };

/** What goes on at one moment. */
export type DevDbStats = TransportStats;

/** A running database. */
export interface DevDb extends AsyncDisposable {
  /** For any driver, for example `postgresql://postgres:postgres@127.0.0.1:5432/postgres`. It has the password. */
  readonly url: string;
  readonly host: string;
  /** The bound port. */
  readonly port: number;
  /** The directory of the Unix socket, if there is one. */
  readonly socketDir: string | undefined;
  readonly user: string;
  readonly database: string;
  /** With `tls: "auto"`: a file with the certificate, for clients that verify it. It goes with the database. */
  readonly certificateFile: string | undefined;
  /** Whether each connection has a PostgreSQL session of its own. */
  readonly sessions: Sessions;
  /** The version of PostgreSQL, for example `18.6`. */
  readonly version: string;
  /** The names of the migrations that this start applied, in their order. */
  readonly migrationsApplied: readonly string[];
  /** How long the start took, in milliseconds. */
  readonly ms: number;
  /** `DATABASE_URL`, `PGHOST` and the other variables of libpq, for a process that is to use this database. */
  readonly env: Readonly<Record<string, string>>;
  /** What goes on now: it is asked of the thread that serves the clients. */
  stats(): Promise<DevDbStats>;
  /**
   * Makes a branch: a database of its own with everything that is committed here now, in some milliseconds and with almost no memory. Neither
   * side sees what the other one changes from now on. Nobody has to disconnect; transactions that have changed something are waited
   * for. Without a name it gets one. Rejects with a `UsageError` with shared sessions.
   */
  branch(name?: string): Promise<DevDbBranch>;
  /**
   * Brings the whole server back to what it was when it was ready, after migrations and seed, in some milliseconds: all databases, roles,
   * settings, sequences. Connections that idle outside of transactions go on, with their settings, LISTEN and prepared statements; all others
   * are ended with 57P01. In a directory it is this database only, takes what a copy of it takes, and needs `resets: "on"`. Rejects with a
   * `UsageError` with shared sessions.
   */
  reset(): Promise<void>;
  /**
   * Saves the state of the whole server under a name, and replaces an earlier snapshot of that name. Waits up to 5 seconds for active clients and open
   * transactions, then rejects. In memory it also rejects (`53200`) when all snapshots together have 1 GB. In a directory it saves this database only, and
   * the snapshot outlives the server.
   */
  snapshot(name: string): Promise<void>;
  /** As `reset`, to a snapshot. */
  restore(name: string): Promise<void>;
  /** Drops a snapshot and frees its memory. Rejects if no snapshot has that name. */
  dropSnapshot(name: string): Promise<void>;
  /**
   * The clock of the whole server: `now()`, `pg_sleep()` and all timeouts of statements and transactions go by it, in all sessions, also those that
   * are open. Its methods reject with a `UsageError` with shared sessions.
   */
  readonly clock: DevDbClock;
  /**
   * Settles when the database has ended: resolves after `close`, rejects with a `DataDirectoryError` when it has ended by
   * itself because its data directory was removed, moved or taken over. Nobody has to listen.
   */
  readonly ended: Promise<void>;
  /**
   * Gives clients a moment to hang up, some 100 ms at most, ends those that stay with 57P01, checkpoints and closes.
   * Idempotent; all callers share one close. Rejects with a `DataDirectoryError` when the data directory is not this
   * database's any more; then nothing was written there.
   */
  close(): Promise<void>;
}

/** What PostgreSQL takes for the time; see `DevDb.clock`. */
export interface DevDbClock {
  /** From now on it is this time, and time goes on. Back only while nobody is connected. */
  set(time: Date | string | number): Promise<void>;
  /** So much time has passed, in milliseconds or as a span. */
  advance(by: ClockSpan | number): Promise<void>;
  /** In discrete time the clock jumps to the end of the next sleep or timeout whenever no statement runs. */
  discrete(on: boolean): Promise<void>;
  /** The real time again, and no jumps. Back only while nobody is connected. */
  reset(): Promise<void>;
}

/** A time that passes. */
export interface ClockSpan {
  readonly days?: number;
  readonly hours?: number;
  readonly minutes?: number;
  readonly seconds?: number;
  readonly milliseconds?: number;
}

/** A branch of a database; see `DevDb.branch`. */
export interface DevDbBranch extends AsyncDisposable {
  readonly name: string;
  /** As `DevDb.url`, for the branch. */
  readonly url: string;
  readonly database: string;
  /** As `DevDb.env`, for the branch. */
  readonly env: Readonly<Record<string, string>>;
  /** Drops it and makes it anew under its name: what the database has now. Whoever is connected to it is ended with 57P01. */
  reset(): Promise<void>;
  /** Drops it; whoever is connected to it is ended with 57P01. Idempotent, and done by `await using`. */
  drop(): Promise<void>;
}

/** A database that is started and stopped by several callers. */
export interface DevDbController {
  /**
   * Starts, or joins the start that is running, or resolves with the running database. A start after a stop begins
   * when the stop has ended; a start after a failed one is a fresh try.
   */
  start(): Promise<DevDb>;
  /** Stops what is running, or ends the running start. Resolves when nothing is left open. Idempotent. */
  stop(): Promise<void>;
}
