/**
 * What is known of a session that idles in a transaction while another one waits for its locks.
 *
 * Owns: this type. Does not own: finding out (`sessions/idle-holders.ts`), what its client is told (`isolated-queue.ts`).
 */

/** Both sides of it; times in ms. */
export interface Holding {
  /** The process ids of the one that idles and of the one that waits. */
  readonly holder: number;
  readonly waiter: number;
  /** How long the latter has waited for the lock. */
  readonly waitedMs: number;
  /** How long the former has idled. */
  readonly idleMs: number;
}
