/**
 * PostgreSQL's timeouts of sessions that are idle: a clock outside has to run them.
 *
 * Owns: the timers. Does not own: which timeouts there are (`postgres-process.ts`), what a session does about them.
 * Invariant: a session has at most one, and none while it runs or after its end.
 */
import { delayUntil } from "./timer-delay.ts";

/** See the head of the file. */
export class IdleTimers<S> {
  readonly #alarm: (session: S) => void;
  readonly #timers = new Map<S, { readonly timer: NodeJS.Timeout; readonly due: number }>();

  /** `alarm` is called for a session whose time has come. */
  constructor(alarm: (session: S) => void) {
    this.#alarm = alarm;
  }

  /** When the first one is due, as a time of `performance.now()`; infinite for none. */
  get next(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { due } of this.#timers.values()) next = Math.min(next, due);
    return next;
  }

  /** The session is idle; `due`, as a time of `performance.now()`, is when its next timeout is over. */
  set(session: S, due: number | undefined): void {
    this.clear(session);
    if (due === undefined) return;
    const timer = setTimeout(() => {
      this.#timers.delete(session);
      this.#alarm(session);
    }, delayUntil(due));
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
