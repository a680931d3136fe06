/**
 * PostgreSQL's own interrupt flags and timeouts, as words in the engine's memory.
 *
 * Owns: where they are and how they are read and set, from either thread. Does not own: when (`../engine/thread/shared-session.ts` on the
 * engine thread, the watchdog beside it). Invariant: addresses are found and checked at boot; nothing is written outside of them.
 *
 * Mirrors src/include/miscadmin.h (InterruptPending, QueryCancelPending), src/include/storage/latch.h and
 * src/backend/utils/misc/timeout.c (`all_timeouts`) of PostgreSQL 18.
 */

/** Where to find things in the engine's memory; all are byte addresses. */
export interface InterruptAddresses {
  readonly interruptPending: number;
  readonly queryCancelPending: number;
  /** The address of the pointer to this backend's latch, whose first word is `is_set`. */
  readonly myLatch: number;
  /** The array of timeouts, `timeoutBytes` each. */
  readonly allTimeouts: number;
}

/** TimeoutId of src/include/utils/timeout.h. */
export const Timeout = {
  lock: 2,
  statement: 3,
  idleInTransactionSession: 7,
  transaction: 8,
  idleSession: 9,
} as const;

/** One of `Timeout`. */
export type Timeout = (typeof Timeout)[keyof typeof Timeout];

// struct timeout_params: index, active, indicator, handler, start_time, fin_time, interval_in_ms.
const timeoutBytes = 40;
const activeAt = 4;
const indicatorAt = 5;
const startAt = 16;
const finishAt = 24;
// MAX_TIMEOUTS, of predefined ones and those of users; their `index` is their place.
const timeoutCount = 23;
// all_timeouts is static data, which lies below this.
const searchBytes = 16 << 20;
// PostgreSQL counts microseconds from 2000-01-01.
const epochMs = Date.UTC(2000, 0, 1);

/** Finds `all_timeouts`, which has no exported address, by its indexes. Throws if there is not exactly one such place. */
export function findTimeouts(memory: ArrayBuffer | SharedArrayBuffer): number {
  const words = new Int32Array(memory, 0, Math.min(searchBytes, memory.byteLength) >> 2);
  const stride = timeoutBytes >> 2;
  const found: number[] = [];
  for (let at = 0; at + timeoutCount * stride < words.length; at++) {
    let index = 0;
    while (index < timeoutCount && words[at + index * stride] === index) index++;
    if (index === timeoutCount) found.push(at << 2);
  }
  if (found.length !== 1) throw new Error(`PostgreSQL's table of timeouts was found at ${found.length} places`);
  return found[0]!;
}

/** The flags of one engine. */
export class Interrupts {
  readonly #words: Int32Array;
  readonly #view: DataView;
  readonly #at: InterruptAddresses;

  /** The memory may grow later: what is looked at here lies at low addresses and stays where it is. */
  constructor(memory: ArrayBuffer | SharedArrayBuffer, at: InterruptAddresses) {
    this.#words = new Int32Array(memory);
    this.#view = new DataView(memory);
    this.#at = at;
  }

  /** What SIGINT does: StatementCancelHandler() of src/backend/tcop/postgres.c. */
  cancelQuery(): void {
    Atomics.store(this.#words, this.#at.queryCancelPending >> 2, 1);
    Atomics.store(this.#words, this.#at.interruptPending >> 2, 1);
    // A wait (pg_sleep) looks only at its latch and the clock.
    const latch = Atomics.load(this.#words, this.#at.myLatch >> 2);
    if (latch !== 0) Atomics.store(this.#words, latch >> 2, 1);
  }

  /** Forgets a cancel, or a timeout's, that came too late for its statement. */
  clearCancel(): void {
    Atomics.store(this.#words, this.#at.queryCancelPending >> 2, 0);
    for (const timeout of [Timeout.lock, Timeout.statement]) this.#setIndicator(timeout, 0);
  }

  /** Whether a timeout is running and its time has come. */
  isOver(timeout: Timeout): boolean {
    return (this.remainingMs(timeout) ?? 1) <= 0;
  }

  /** How many ms a timeout still has, or undefined if it is not running. */
  remainingMs(timeout: Timeout): number | undefined {
    const at = this.#at.allTimeouts + timeout * timeoutBytes;
    if (this.#view.getUint8(at + activeAt) === 0 || this.#view.getUint8(at + indicatorAt) !== 0) return undefined;
    const finish = Number(this.#view.getBigInt64(at + finishAt, true)) / 1000 + epochMs;
    // The clock that PostgreSQL reads.
    return finish - Date.now();
  }

  /** How long a running timeout is in all, in ms. */
  lengthMs(timeout: Timeout): number {
    const at = this.#at.allTimeouts + timeout * timeoutBytes;
    return Number(this.#view.getBigInt64(at + finishAt, true) - this.#view.getBigInt64(at + startAt, true)) / 1000;
  }

  /** What the alarm does when a timeout is over: the cancel then says so in its message. */
  expire(timeout: Timeout): void {
    this.#setIndicator(timeout, 1);
    this.cancelQuery();
  }

  #setIndicator(timeout: Timeout, value: number): void {
    this.#view.setUint8(this.#at.allTimeouts + timeout * timeoutBytes + indicatorAt, value);
  }
}
