/**
 * Random choices that can be repeated.
 *
 * Owns: the generator and the seed of a run. Does not own: what is chosen.
 * Invariant: the same seed gives the same choices, on every machine.
 */

/** The seed of this run: `SEED` from the environment, or a new one. Put it into the name of the test that uses it. */
export const runSeed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));

/** A source of repeatable choices. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 to `below` - 1 (mulberry32). */
  below(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  }

  /** One of the entries. */
  of<T>(entries: readonly T[]): T {
    return entries[this.below(entries.length)]!;
  }

  /** True in one of `count` cases. */
  oneIn(count: number): boolean {
    return this.below(count) === 0;
  }

  /** Cuts bytes into pieces of at most `longest` bytes. */
  pieces(bytes: Uint8Array, longest: number): Uint8Array[] {
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; ) {
      const length = 1 + this.below(longest);
      pieces.push(bytes.subarray(at, at + length));
      at += length;
    }
    return pieces;
  }
}
