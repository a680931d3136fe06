/**
 * What a door leads to where all clients share one session: a queue that says who runs next.
 *
 * Owns: the session as that queue takes it; what clients are told when PostgreSQL crashes. Does not own: the session
 * (`engine/thread/shared-session.ts`), turns, affinity and names (`shared/`).
 * Invariant: after a crash nobody is answered before everybody has been told why.
 */
import type { EngineDeath, EngineInput, ExecOptions, IdleTimeouts } from "../engine/engine.ts";
import type { ListenOptions } from "../engine/listener.ts";
import { RecentRuns } from "../engine/recent-runs.ts";
import type { Behind } from "./serve.ts";
import type { SharedEngine } from "./shared/engine-runs.ts";
import { SharedQueue } from "./shared/shared-queue.ts";

/** What is needed of the session. */
interface OneSession {
  readonly hasCrashed: boolean;
  run(listener: number, input: EngineInput, options: ExecOptions): void;
  idleTimeouts(): IdleTimeouts;
}

/** Of one COPY, and of one answer that nobody reads; it waits in a temporary file. */
const maxSpooledBytes = 16 * 1024 ** 3;
/** The only one that PGlite's session can be in. */
const databases = ["postgres"];

/** For the clients of one listener. `onTurn` is told whose messages run. */
export function openSharedDoor(
  session: OneSession,
  listener: number,
  options: ListenOptions,
  onTurn?: (processId: number) => void,
): Behind {
  const db = new SessionEngine(session, listener, onTurn);
  const queue = new SharedQueue(db, {
    transactionIdleTimeout: options.transactionIdleTimeoutMs,
    maxCopyBytes: maxSpooledBytes,
    log: (message, ...details) => options.log?.([message, ...details.map(String)].join(" ")),
  });
  return {
    ...{ queue, databases },
    activity: () => queue.activity(),
    crashed: async (death) => db.died(await death),
    takeRuns: () => db.recent.take(),
  };
}

/** The names are PGlite's. */
class SessionEngine implements SharedEngine {
  readonly recent = new RecentRuns();
  readonly #session: OneSession;
  readonly #listener: number;
  readonly #onTurn: ((processId: number) => void) | undefined;
  readonly #listeners = new Set<(death: EngineDeath) => void>();
  #told!: () => void;
  readonly #hasTold = new Promise<void>((resolve) => {
    this.#told = resolve;
  });

  constructor(session: OneSession, listener: number, onTurn: ((processId: number) => void) | undefined) {
    this.#onTurn = onTurn;
    this.#session = session;
    this.#listener = listener;
  }

  // A run is one call: nobody gets into its middle.
  runExclusive<T>(fn: () => Promise<T>): Promise<T> {
    return fn();
  }

  async execProtocolRawStream(message: EngineInput, options: ExecOptions): Promise<void> {
    this.recent.add(message);
    if (options.whose) this.#onTurn?.(options.whose.processId);
    try {
      this.#session.run(this.#listener, message, options);
    } catch (error) {
      if (this.#session.hasCrashed) await this.#hasTold;
      throw error;
    }
  }

  idleTimeouts(): IdleTimeouts {
    return this.#session.idleTimeouts();
  }

  onDeath(listener: (death: EngineDeath) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Tells everybody. */
  died(death: EngineDeath): void {
    for (const listener of this.#listeners) listener(death);
    this.#told();
  }
}
