/**
 * Random choices that a seed repeats.
 *
 * Owns: the generator (mulberry32). Does not own: what is chosen.
 * Invariant: the same numbers give the same choices, on every machine. Not for secrets.
 */

const letters = "abcdefghijklmnopqrstuvwxyzäß'\\ ";

/** A stream of choices; streams made from different numbers are independent enough for a test. */
export class Random {
  #state: number;

  constructor(...numbers: readonly number[]) {
    this.#state = 0;
    for (const number of numbers) this.#state = mix(this.#state ^ (number >>> 0)) + 0x9e3779b9;
  }

  /** A whole number from 0 to `below` - 1. */
  below(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  }

  /** True once in `times` on average. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  /** One of the items, which are at least one. */
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  /** Text of a length up to `longest`, with quotes, backslashes and characters of two bytes. */
  text(longest: number): string {
    return Array.from({ length: this.below(longest + 1) }, () => letters[this.below(letters.length)]).join("");
  }
}

function mix(value: number): number {
  const first = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  const second = Math.imul(first ^ (first >>> 13), 0xc2b2ae35);
  return (second ^ (second >>> 16)) >>> 0;
}
