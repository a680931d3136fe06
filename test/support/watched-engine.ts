/**
 * An engine that records its calls, and that a test can hold.
 *
 * Owns: the record, and the hold. Does not own: the database.
 * Invariant: it changes nothing about what the engine does.
 */
import type { PGlite } from "@electric-sql/pglite";

/** A database as a socket server takes it, with what happened to it. */
export class WatchedEngine {
  readonly #engine: PGlite;
  /** Runs of the engine so far. */
  runs = 0;
  /** Runs that have begun and not ended. */
  running = 0;
  /** Callers that asked for the engine and have not got it. */
  waiting = 0;
  #waitReady: Promise<void>;

  constructor(engine: PGlite, waitReady: Promise<void> = engine.waitReady) {
    this.#engine = engine;
    this.#waitReady = waitReady;
  }

  get waitReady(): Promise<void> {
    return this.#waitReady;
  }

  runExclusive<T>(fn: () => Promise<T>): Promise<T> {
    this.waiting++;
    return this.#engine.runExclusive(() => {
      this.waiting--;
      return fn();
    });
  }

  async execProtocolRawStream(...parameters: Parameters<PGlite["execProtocolRawStream"]>): Promise<void> {
    this.runs++;
    this.running++;
    try {
      await this.#engine.execProtocolRawStream(...parameters);
    } finally {
      this.running--;
    }
  }

  /** Keeps everybody from the engine until the returned function is called. */
  async hold(): Promise<() => void> {
    let release!: () => void;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    await new Promise<void>((held) => {
      void this.#engine.runExclusive(() => {
        held();
        return released;
      });
    });
    return release;
  }
}
