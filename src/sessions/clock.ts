/**
 * The clock that PostgreSQL reads: the real one, shifted.
 *
 * Owns: by how much, and PostgreSQL's own calls that read a clock. Does not own: when it is shifted (`../thread/server-clock.ts`; in
 * discrete time `scheduler.ts`), what is done at a time of it.
 * Invariant: it never stops, or nothing would ever be over. `nowMs` never goes back; `wallMs` only when nobody has a session, who could see it.
 */
import assert from "node:assert/strict";
import { RealTime } from "./real-time.ts";
import type { Imports } from "./wasm/web-assembly.ts";

/** `CLOCK_REALTIME`, and the last of WASI's other clocks, all of which count on from somewhere. */
const realTime = 0;
const lastClock = 3;
/** WASI's `EINVAL`. */
const invalid = 28;

/** The last time that it may show by a change; PostgreSQL's own drivers and types write years with four digits. */
export const latestMs = Date.UTC(9999, 11, 31);

/** See the head of the file. */
export class Clock {
  /** Called when time has been jumped over. */
  readonly onJump = new Set<() => void>();
  readonly #realTime = new RealTime();
  #jumpedMs = 0;
  #setBackMs = 0;

  /** As `Date.now()`, with a fraction. */
  get wallMs(): number {
    return this.#realTime.nowMs + this.#jumpedMs - this.#setBackMs;
  }

  /** As `performance.now()`: deadlines are times of this. */
  get nowMs(): number {
    return performance.now() + this.#jumpedMs;
  }

  /** By how much `wallMs` is ahead of the real time; negative when it is behind. */
  get aheadMs(): number {
    return this.#jumpedMs - this.#setBackMs;
  }

  /** When it will be `deadline`, a time of `nowMs`, as a time of `performance.now()`, if nothing is jumped over. */
  realTimeOf(deadline: number): number {
    return deadline - this.#jumpedMs;
  }

  /** Whether it may be so much later. */
  mayJump(ms: number): boolean {
    return this.wallMs + ms <= latestMs;
  }

  /** Time has passed, all at once. */
  jump(ms: number): void {
    assert(Number.isSafeInteger(ms) && ms >= 0, "time passes in whole milliseconds, and forwards");
    this.#jumpedMs += ms;
    for (const jumped of this.onJump) jumped();
  }

  /** Nobody may have a session. */
  setBack(ms: number): void {
    assert(Number.isSafeInteger(ms) && ms >= 0, "a clock is set back by whole milliseconds");
    this.#setBackMs += ms;
  }

  /** emscripten's functions for this clock; `words` is the memory. */
  imports(words: () => Uint32Array): Imports {
    const get = (clock: number, _precision: bigint, address: number): number => {
      if (clock < 0 || clock > lastClock) return invalid;
      const nanoseconds = Math.round((clock === realTime ? this.wallMs : this.nowMs) * 1e6);
      const memory = words();
      memory[address >>> 2] = nanoseconds % 2 ** 32;
      memory[(address >>> 2) + 1] = Math.floor(nanoseconds / 2 ** 32);
      return 0;
    };
    return {
      env: { emscripten_date_now: () => this.wallMs, emscripten_get_now: () => this.nowMs },
      wasi_snapshot_preview1: { clock_time_get: get },
    };
  }
}
