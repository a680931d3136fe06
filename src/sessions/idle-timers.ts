/**
 * PostgreSQL's timeouts of sessions that are idle: a clock outside has to run them.
 *
 * Owns: the timers. Does not own: which timeouts there are (`postgres-process.ts`), what a session does about them.
 * Invariant: a session has at most one, and none while it runs or after its end. For how long a client idles is real time; only what else
 * runs meanwhile, as that of its transaction, is over when the clock has jumped over it.
 */
import type { Clock } from "./clock.ts";
import { delayUntil } from "./timer-delay.ts";

/** When a session's next timeouts are over; infinite for none. */
interface Due {
  /** A time of `performance.now()`. */
  readonly idle: number;
  /** A time of the clock. */
  readonly other: number;
}

/** See the head of the file. */
export class IdleTimers<S> {
  readonly #alarm: (session: S) => void;
  readonly #clock: Clock;
  readonly #timers = new Map<S, { readonly timer: NodeJS.Timeout; readonly due: Due }>();

  /** `alarm` is called for a session whose time has come. */
  constructor(clock: Clock, alarm: (session: S) => void) {
    this.#clock = clock;
    this.#alarm = alarm;
    clock.onJump.add(() => {
      for (const [session, { due }] of [...this.#timers])
        if (due.other < Number.POSITIVE_INFINITY) this.set(session, due);
    });
  }

  /** The session is idle. */
  set(session: S, due: Due): void {
    this.clear(session);
    const next = Math.min(due.idle, this.#clock.realTimeOf(due.other));
    if (next === Number.POSITIVE_INFINITY) return;
    const timer = setTimeout(() => {
      this.#timers.delete(session);
      this.#alarm(session);
    }, delayUntil(next));
    timer.unref();
    this.#timers.set(session, { timer, due });
  }

  /** The session is idle no longer. */
  clear(session: S): void {
    const running = this.#timers.get(session);
    if (!running) return;
    clearTimeout(running.timer);
    this.#timers.delete(session);
  }
}
