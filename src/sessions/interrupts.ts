/**
 * PostgreSQL's own timeouts, as words in the engine's memory.
 *
 * Owns: where they are. Does not own: what is done with them (`postgres-process.ts`). Invariant: addresses are found and checked at boot.
 *
 * Mirrors src/backend/utils/misc/timeout.c (`all_timeouts`) of PostgreSQL 18.
 */

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
// MAX_TIMEOUTS, of predefined ones and those of users; their `index` is their place.
const timeoutCount = 23;
// all_timeouts is static data, which lies below this.
const searchBytes = 16 << 20;

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
