/**
 * Sessions that idle in a transaction while others wait for their locks.
 *
 * Owns: for how long. Does not own: who waits for whom (`deadlock.ts`), what a holder is told then (its client's side).
 * Invariant: it costs nothing while nobody waits for a lock; a holder is reported at most once in each `timeoutMs`, and never
 * for a time before it began to idle or the other began to wait.
 */
import { blockers } from "./deadlock.ts";
import type { SessionContext, SessionState } from "./session-context.ts";

/** Called with the holder, who waits for it, and how long each has done so, in ms. */
type OnOver = (holder: SessionState, waiter: SessionState, waitedMs: number, idleMs: number) => void;

/** See the head of the file. */
export class IdleHolders {
  readonly #host: SessionContext;
  readonly #timeoutMs: number;
  readonly #onOver: OnOver;
  /** Since when the sessions that wait for a lock have been seen to. */
  #waiting = new Map<SessionState, number>();
  #reported = new WeakMap<SessionState, number>();
  #next = Number.POSITIVE_INFINITY;

  /** `timeoutMs` of 0 is never. */
  constructor(host: SessionContext, timeoutMs: number, onOver: OnOver) {
    this.#host = host;
    this.#timeoutMs = timeoutMs;
    this.#onOver = onOver;
  }

  /** When `look` is to be called again, if nothing happens before, as a time of `performance.now()`. */
  get next(): number {
    return this.#next;
  }

  /** To be called whenever sessions have run, and at `next`. */
  look(): void {
    if (this.#timeoutMs === 0) return;
    const now = performance.now();
    const waiting = new Map<SessionState, number>();
    this.#next = Number.POSITIVE_INFINITY;
    for (const waiter of this.#host.scheduler.parked) {
      const holders = blockers(this.#host, waiter);
      if (holders.length === 0) continue;
      const since = this.#waiting.get(waiter) ?? now;
      waiting.set(waiter, since);
      for (const holder of holders) this.#judge(holder, waiter, since, now);
    }
    this.#waiting = waiting;
  }

  #judge(holder: SessionState, waiter: SessionState, since: number, now: number): void {
    const idleSince = holder.idleInTransactionSince;
    if (idleSince === undefined) return;
    const due = Math.max(idleSince, since, this.#reported.get(holder) ?? 0) + this.#timeoutMs;
    if (due > now) {
      this.#next = Math.min(this.#next, due);
      return;
    }
    this.#reported.set(holder, now);
    this.#next = Math.min(this.#next, now + this.#timeoutMs);
    this.#onOver(holder, waiter, now - since, now - idleSince);
  }
}
