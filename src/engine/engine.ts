/**
 * The engine as the rest of the project sees it: one PostgreSQL behind a call that takes protocol bytes.
 *
 * Owns: the interface. Does not own: how PostgreSQL is run (`in-process.ts` now; a thread of its own later), who may
 * run next (the queue), or what the bytes mean (`wire/`).
 * Invariant: at most one `execProtocolRawStream` runs at a time; callers take turns through `runExclusive`.
 */

/**
 * Runs protocol bytes. The names are those of PGlite, so that the patched socket library takes either a PGlite or an
 * `Engine`.
 */
export interface Engine {
  /** Resolves when the engine answers queries; rejects when it could not start. */
  readonly waitReady: Promise<void>;
  /** PostgreSQL's own `server_version`, for example `18.6`. */
  readonly serverVersion: string;
  /** The databases a client may name in its startup packet. */
  readonly databases: readonly string[];
  /** Runs `fn` while nobody else uses the engine. */
  runExclusive<T>(fn: () => Promise<T>): Promise<T>;
  /**
   * Runs complete frontend messages and hands out the backend's bytes while they are produced.
   * `onRawData` gets views that are only valid during the call: copy what you keep. A message must not start with
   * `X` (ignored by PGlite) or `0` (taken for a startup packet). SQL errors are bytes; a rejection means that the
   * engine itself failed.
   */
  execProtocolRawStream(message: Uint8Array, options: { onRawData: (data: Uint8Array) => void }): Promise<void>;
  /** Checkpoints and shuts down. Idempotent. */
  close(): Promise<void>;
}
