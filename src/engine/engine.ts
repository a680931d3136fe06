/**
 * The engine as the rest of the project sees it: one PostgreSQL behind a call that takes protocol bytes.
 *
 * Owns: the interface. Does not own: how PostgreSQL is run (`supervisor.ts`, on a thread of its own), who may run next
 * (the queue), or what the bytes mean (`wire/`).
 * Invariant: at most one `execProtocolRawStream` runs at a time; callers take turns through `runExclusive`.
 */
import type { ListenOptions, Transport } from "./listener.ts";

/** Frontend messages: a `Uint8Array`, or what can be cut like one (the data of a COPY that lies in a file). */
export interface EngineInput {
  readonly length: number;
  /** A view that is valid until the next call. */
  subarray(start: number, end: number): Uint8Array;
}

/** What happens while messages run. */
export interface ExecOptions {
  /**
   * Gets the backend's bytes while they are produced, as views that are only valid during the call: copy what you keep.
   * A promise holds up the engine until it is settled.
   */
  onRawData: (data: Uint8Array) => void | Promise<void>;
  /** Everything that was produced has been handed out, and the statement goes on. */
  onPause?: () => void;
  /** `transaction_timeout` is over, and the statement is being cancelled: its transaction must not go on. */
  onTransactionTimeout?: () => void;
}

/** Timeouts of a session that runs nothing, in ms; absent: not set, or not in that state. */
export interface IdleTimeouts {
  /** `idle_session_timeout`: in all. */
  readonly sessionMs?: number;
  /** `idle_in_transaction_session_timeout`: in all. */
  readonly inTransactionMs?: number;
  /** `transaction_timeout`: what is left of it. */
  readonly transactionMs?: number;
}

/** For the log: a client and the beginning of its statement. */
export interface StatementOwner {
  readonly processId: number;
  readonly applicationName: string;
  readonly statement: string;
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

/**
 * Runs protocol bytes. The names are those of PGlite, so that the patched socket library takes either a PGlite or an
 * `Engine`.
 */
export interface Engine {
  /** Resolves when the engine answers queries; rejects when it could not start. */
  readonly waitReady: Promise<void>;
  /** PostgreSQL's own `server_version`, for example `18.6`. */
  readonly serverVersion: string;
  /** The databases that a client may name in its startup packet; absent where PostgreSQL is asked when it does. */
  readonly databases?: readonly string[] | undefined;
  /**
   * Listens for clients, each with a session of its own, until the listener is stopped, also through deaths of the engine.
   * Rejects with the system's error (EADDRINUSE …). Absent where all clients share one session: then `transport/` listens.
   */
  listen?(options: ListenOptions): Promise<Transport>;
  /** Runs `fn` while nobody else uses the engine. After a death of the engine it waits for the new one. */
  runExclusive<T>(fn: () => Promise<T>): Promise<T>;
  /**
   * Runs complete frontend messages. A message must not start with `X` or `0`. SQL errors are bytes; a rejection means
   * that the engine itself failed.
   */
  execProtocolRawStream(message: EngineInput, options: ExecOptions): Promise<void>;
  /**
   * Ends the statement that is running with 57014, as soon as it listens, for as long as `stillWanted` says so; does
   * nothing when none is running, and never ends a later one. It must become false with the statement's end.
   */
  interrupt(stillWanted: () => boolean): void;
  /** The timeouts that PostgreSQL has set at the end of the last run. */
  idleTimeouts(): IdleTimeouts;
  /** Calls `listener` when the engine has died; returns how to stop that. Everything of its session is gone then. */
  onDeath(listener: (death: EngineDeath) => void): () => void;
  /**
   * Ends what is running, checkpoints and shuts down. Idempotent. Rejects with a `DataDirectoryError`, and has not written
   * anything, when the data directory is not the one that was opened any more.
   */
  close(): Promise<void>;
}
