/**
 * Waiting for another thread without sleeping, for as long as it pays.
 *
 * Owns: how long to spin. Does not own: what is waited for, or the sleep after it (`channel.ts`).
 * Invariant: bounded: a wait that lately took too long is not spun for at all.
 */

/** What it takes until a thread that was parked runs, in ms. */
export const wakeUpMs = 0.06;

/**
 * How long to spin for something that has lately taken a typical time: a bit longer than that, or not at all if it
 * takes so long that a wake-up does not matter.
 */
export class Spinner {
  readonly #longestMs: number;
  #typicalMs = 0;

  constructor(longestMs: number) {
    this.#longestMs = longestMs;
  }

  /** Spins until `ready` or until it is not worth it any more. Returns whether it is ready. */
  spin(ready: () => boolean): boolean {
    if (ready()) return true;
    const budgetMs = 2 * this.#typicalMs + wakeUpMs;
    if (budgetMs > this.#longestMs) return false;
    const end = performance.now() + budgetMs;
    do {
      for (let i = 0; i < 50; i++) if (ready()) return true;
    } while (performance.now() < end);
    return false;
  }

  /** Learns how long it took, without a wake-up. One long time among short ones says little. */
  learn(tookMs: number): void {
    this.#typicalMs += (Math.min(Math.max(0, tookMs), 2 * this.#longestMs) - this.#typicalMs) / 8;
  }
}
