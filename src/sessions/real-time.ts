/**
 * The machine's time with microseconds, which `Date.now()` does not have.
 *
 * Owns: from where `performance.now()` counts on. Does not own: by how much PostgreSQL's clock is ahead (`clock.ts`).
 * Invariant: it is as `Date.now()` to the millisecond, also when the machine's clock is set and after the machine has slept, and goes
 * back only with that.
 */

/** By so much less than the last time, in ms, the clock has not been set: two clocks differ. */
const imprecisionMs = 1;

/** See the head of the file. */
export class RealTime {
  // Too low rather than too high: it is corrected forwards.
  #originMs = Date.now() - performance.now();
  #lastMs = 0;

  /** As `Date.now()`, with a fraction. */
  get nowMs(): number {
    const ms = this.#originMs + performance.now();
    const wallMs = Date.now();
    const now = ms >= wallMs && ms < wallMs + 1 ? ms : this.#compared();
    if (now < this.#lastMs && now > this.#lastMs - imprecisionMs) return this.#lastMs;
    this.#lastMs = now;
    return now;
  }

  // The thread may be held up between two looks: only what no such pause explains moves the origin.
  #compared(): number {
    const before = performance.now();
    const wallMs = Date.now();
    const after = performance.now();
    if (this.#originMs + after < wallMs) this.#originMs = wallMs - after;
    else if (this.#originMs + before >= wallMs + 1) this.#originMs = wallMs + 1 - before;
    return this.#originMs + after;
  }
}
