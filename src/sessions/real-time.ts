/**
 * The machine's time in microseconds, which `Date.now()` lacks.
 *
 * Owns: the origin of `performance.now()`. Does not own: the shift of PostgreSQL's clock (`clock.ts`).
 * Invariant: the time equals `Date.now()` to the millisecond, also after the machine's clock is set and after the machine has slept. It goes
 * back only when the machine's clock does.
 */

/** A smaller step back, in ms, does not mean that the clock was set: two clocks differ by that much. */
const imprecisionMs = 1;

/** See the head of the file. */
export class RealTime {
  // Start too low rather than too high: corrections only move forwards.
  #originMs = Date.now() - performance.now();
  #lastMs = 0;

  /** Returns `Date.now()` with a fraction. */
  get nowMs(): number {
    const ms = this.#originMs + performance.now();
    const wallMs = Date.now();
    const now = ms >= wallMs && ms < wallMs + 1 ? ms : this.#compared();
    if (now < this.#lastMs && now > this.#lastMs - imprecisionMs) return this.#lastMs;
    this.#lastMs = now;
    return now;
  }

  // The thread may pause between the two readings. Move the origin only for a difference that no pause explains.
  #compared(): number {
    const before = performance.now();
    const wallMs = Date.now();
    const after = performance.now();
    if (this.#originMs + after < wallMs) this.#originMs = wallMs - after;
    else if (this.#originMs + before >= wallMs + 1) this.#originMs = wallMs + 1 - before;
    return this.#originMs + after;
  }
}
