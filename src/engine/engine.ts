/**
 * The engine as the rest of the project sees it: one PostgreSQL behind a call that takes protocol bytes.
 *
 * Owns: the interface. Does not own: how PostgreSQL is run (`../thread/`, on a thread of its own), its clients (`transport/`),
 * or what the bytes mean (`wire/`).
 * Invariant: what is run here is the process's own; at most one `execProtocolRawStream` runs at a time, as callers take turns
 * through `runExclusive`.
 */
import type { Sessions } from "../options.ts";
import type { Branches } from "./branches.ts";
import type { ChangeClock } from "./clock.ts";
import type { ListenOptions, Transport } from "./listener.ts";
import type { States } from "./states.ts";

/** What happens while messages run. */
export interface ExecOptions {
  /** Gets the backend's bytes while they are produced, as views that are only valid during the call: copy what you keep. */
  onRawData: (data: Uint8Array) => void;
}

/** For the log: a client and the beginning of its statement. */
export interface StatementOwner {
  readonly processId: number;
  readonly applicationName: string;
  readonly statement: string;
}

/** As whom, and in which database, the process itself works. */
export interface OwnLogin {
  readonly user: string;
  readonly database: string;
  readonly isSuperuser: boolean;
}

/** Why the engine is gone, and what that means for the data. */
export interface EngineDeath {
  readonly cause: unknown;
  /** For the clients; a sentence. */
  readonly consequence: string;
  /** What clients are told where no new engine follows, instead of what PostgreSQL says about a crash. */
  readonly farewell?: {
    readonly severity: "FATAL";
    readonly code: string;
    readonly message: string;
    readonly detail: string;
  };
}

/** `sql` is the COPY and nothing else. */
type CopyIn = (sql: string, data: AsyncIterable<Uint8Array>, onRawData: (bytes: Uint8Array) => void) => Promise<void>;

/** One PostgreSQL on a thread of its own. The names are those of PGlite. */
export interface Engine {
  /** Resolves when the engine answers queries; rejects when it could not start. */
  readonly waitReady: Promise<void>;
  /** PostgreSQL's own `server_version`, for example `18.6`. */
  readonly serverVersion: string;
  /** Whether each client has a session of its own. */
  readonly sessions: Sessions;
  /** Absent with one session for all. */
  readonly branches?: Branches | undefined;
  /** Absent with one session for all. */
  readonly states?: States | undefined;
  /** Absent with shared sessions. */
  readonly changeClock?: ChangeClock | undefined;
  /**
   * Listens for clients until the listener is stopped, also through deaths of the engine. Rejects with the system's error
   * (EADDRINUSE …).
   */
  listen(options: ListenOptions): Promise<Transport>;
  /** What is run here from now on is run like that; until then as `postgres` in `postgres`. With shared sessions it rejects. */
  logIn(login: OwnLogin): Promise<void>;
  /** Runs `fn` while nobody else uses the engine like this. After a death of the engine it waits for the new one. */
  runExclusive<T>(fn: () => Promise<T>): Promise<T>;
  /**
   * Runs complete frontend messages. A message must not start with `X` or `0`. SQL errors are bytes; a rejection means
   * that the engine itself failed.
   */
  execProtocolRawStream(message: Uint8Array, options: ExecOptions): Promise<void>;
  /**
   * Runs a COPY … FROM STDIN with its data, read as fast as PostgreSQL takes it; the rest is not read after an error. SQL errors
   * are bytes, as with `execProtocolRawStream`. Absent with a shared session, which must not stop in the middle of a COPY.
   */
  readonly copyIn?: CopyIn | undefined;
  /**
   * Ends what is running, checkpoints and shuts down. Idempotent. Rejects with a `DataDirectoryError`, and has not written
   * anything, when the data directory is not the one that was opened any more.
   */
  close(): Promise<void>;
}
