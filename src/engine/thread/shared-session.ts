/**
 * One PostgreSQL session for all clients: one run after the other, each of them one call.
 *
 * Owns: what a run begins and ends with, PostgreSQL's timeouts as far as they are this thread's, what PostgreSQL crashed of. Does
 * not own: PostgreSQL's main loop (`backend.ts`), ending a statement that runs (the watchdog), whose run is next (the queue).
 * Invariant: no flag that was meant for a run is left for the next one; after a crash PostgreSQL is not entered any more.
 */

import { limits } from "../../limits.ts";
import { type Interrupts, Timeout } from "../../sessions/interrupts.ts";
import { Type } from "../../wire/frames.ts";
import type { EngineInput, ExecOptions, IdleTimeouts } from "../engine.ts";
import { YoungGarbage } from "../young-garbage.ts";
import type { Backend } from "./backend.ts";
import type { SharedCheckpoints } from "./shared-checkpoints.ts";
import { countTurn, guarded, isForStopped, nameTurn, type TurnMemory, TurnWord } from "./turn-words.ts";

/** PostgreSQL, as it was booted. */
interface Parts {
  readonly backend: Backend;
  readonly interrupts: Interrupts;
  readonly checkpoints: SharedCheckpoints;
  readonly turns: TurnMemory;
  /** Why PostgreSQL is gone, in its own words if it has said why. */
  explainEnd(thrown: unknown): unknown;
  close(): Promise<void>;
}

/** The type of ReadyForQuery, and its length. */
const readyBytes = 6;

/** See the head of the file. */
export class SharedSession {
  /** Resolves with what PostgreSQL crashed of. */
  readonly crash: Promise<unknown>;
  readonly #parts: Parts;
  readonly #garbage = new YoungGarbage();
  /** When what was produced was last meant to be seen. */
  #pausedAt = 0;
  #settleCrash!: (cause: unknown) => void;
  /** Set from the crash on. */
  hasCrashed = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.crash = new Promise((resolve) => {
      this.#settleCrash = resolve;
    });
  }

  /**
   * Runs complete frontend messages of a client that has come through `listener`, and returns when they are answered. Throws
   * when PostgreSQL has crashed, or what `onRawData` has thrown: the statement was cancelled then.
   */
  run(listener: number, input: EngineInput, options: ExecOptions): void {
    if (this.hasCrashed) throw new Error("PostgreSQL has crashed");
    const { backend, interrupts, checkpoints } = this.#parts;
    let failure: { readonly error: unknown } | undefined;
    this.#pausedAt = performance.now();
    this.#begin(listener, options);
    try {
      backend.run(input, (bytes) => {
        if (failure) return;
        try {
          this.#deliver(bytes, options);
        } catch (error) {
          failure = { error };
          interrupts.cancelQuery();
        }
      });
    } catch (error) {
      throw this.#crash(error);
    } finally {
      this.#end();
    }
    if (checkpoints.isDue()) setImmediate(() => this.#checkpoint());
    if (failure) throw failure.error;
  }

  /** The timeouts that PostgreSQL has set at the end of the last run. */
  idleTimeouts(): IdleTimeouts {
    const { interrupts } = this.#parts;
    const whole = (timeout: Timeout) =>
      interrupts.remainingMs(timeout) === undefined ? undefined : interrupts.lengthMs(timeout);
    const sessionMs = whole(Timeout.idleSession);
    const inTransactionMs = whole(Timeout.idleInTransactionSession);
    const transactionMs = interrupts.remainingMs(Timeout.transaction);
    return {
      ...(sessionMs === undefined ? {} : { sessionMs }),
      ...(inTransactionMs === undefined ? {} : { inTransactionMs }),
      ...(transactionMs === undefined ? {} : { transactionMs }),
    };
  }

  /** PostgreSQL is in no known state: it is not entered any more. */
  crashed(cause: unknown): void {
    this.hasCrashed = true;
    this.#settleCrash(cause);
  }

  /** Checkpoints and shuts down. Rejects with why that failed. */
  async close(): Promise<void> {
    if (!this.hasCrashed) await this.#parts.close();
  }

  #begin(listener: number, { isCancelled, whose }: ExecOptions): void {
    const { turns, interrupts } = this.#parts;
    const { words } = turns;
    words[TurnWord.listener] = listener;
    nameTurn(turns, whose?.processId ?? 0, whose?.application, whose?.statement);
    guarded(words, () => {
      if (isCancelled) words[TurnWord.cancelled] = words[TurnWord.turn]! + 1;
      interrupts.clearCancel();
      countTurn(turns);
    });
  }

  #end(): void {
    const { turns, interrupts } = this.#parts;
    guarded(turns.words, () => {
      countTurn(turns);
      interrupts.clearCancel();
    });
  }

  #deliver(bytes: Uint8Array, { onRawData, onPause, onTransactionTimeout, onStop }: ExecOptions): void {
    const { words } = this.#parts.turns;
    if (isForStopped(words)) onStop?.();
    if (Atomics.load(words, TurnWord.transactionOver) === Atomics.load(words, TurnWord.turn)) onTransactionTimeout?.();
    onRawData(bytes);
    // V8 does it between two turns of the event loop, and there are none in a run.
    this.#garbage.passed(bytes.length);
    if (bytes.length >= limits.postgresBufferBytes) return;
    // PostgreSQL wants it to be seen, as it does with a notice, before it goes on; but several answers go in one write.
    const isEnd = bytes.at(-readyBytes) === Type.ReadyForQuery;
    const now = performance.now();
    if (isEnd && now - this.#pausedAt < limits.gatherMs) return;
    this.#pausedAt = now;
    onPause?.();
  }

  #checkpoint(): void {
    if (this.hasCrashed) return;
    try {
      this.#parts.checkpoints.make();
    } catch (error) {
      this.#crash(error);
    }
  }

  #crash(thrown: unknown): unknown {
    const cause = this.#parts.explainEnd(thrown);
    this.crashed(cause);
    return cause;
  }
}
