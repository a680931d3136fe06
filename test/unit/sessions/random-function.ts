/**
 * Random WebAssembly functions that write to memory, as clang's are: a frame on the C stack, stores through locals and
 * computed addresses, calls, blocks, branches, loops that end.
 *
 * Addresses are below 128 KiB. Local 2 is the frame's, local 3 counts the rounds of loops; function 0 is called.
 */
import { signed, unsigned } from "../../../src/sessions/wasm/bytes.ts";
import type { Random } from "../../support/random.ts";

type Code = number[];

/** The size of the frame. */
export const frameBytes = 512;
const [frameLocal, roundsLocal, firstFree] = [2, 3, 4];
const rounds = 3;
const [end, elseOp, drop] = [0x0b, 0x05, 0x1a];
const get = (local: number): Code => [0x20, local];
const number = (value: number): Code => [0x41, ...signed(value)];
const [add, subtract, and] = [0x6a, 0x6b, 0x71];
const masked = (code: Code): Code => [...code, ...number(0x7fff), and];

/** The instructions of a body whose function has two parameters of type i32 and so many locals beside them. */
export function randomBody(random: Random, locals: number): Code {
  return new BodyMaker(random, locals + 2).body();
}

class BodyMaker {
  readonly #random: Random;
  readonly #locals: number;
  #left = 60;
  /** Whether the blocks around are loops, from the outermost to the innermost. */
  readonly #labels: boolean[] = [];

  constructor(random: Random, locals: number) {
    this.#random = random;
    this.#locals = locals;
  }

  body(): Code {
    const frame = [0x23, 0, ...number(frameBytes), subtract, 0x22, frameLocal, 0x24, 0];
    // Far from each other: with a common granule, the marks of one would do for the other.
    const addresses = Array.from({ length: this.#locals - firstFree }, (_, at) => [
      ...number(0x4800 + 0x600 * at + this.#random.below(0x500)),
      ...[0x21, firstFree + at],
    ]);
    const leave = [...get(frameLocal), ...number(frameBytes), add, 0x24, 0];
    return [...frame, ...addresses.flat(), ...this.#statements(12), ...leave];
  }

  #statements(count: number): Code {
    const code: Code = [];
    for (; count > 0 && this.#left > 0; count--) {
      this.#left--;
      code.push(...this.#statement());
    }
    return code;
  }

  #statement(): Code {
    const random = this.#random;
    const kind = random.below(this.#labels.length > 4 ? 6 : 10);
    if (kind < 4) return this.#store();
    if (kind === 4) return [...this.#value(), 0x21, this.#freeLocal()];
    if (kind === 5) return random.oneIn(2) ? [0x10, 0] : this.#bulk();
    // One in another would count its rounds in the same local, and not end.
    const isLoop = kind === 7 && !this.#labels.includes(true);
    this.#labels.push(isLoop);
    try {
      if (kind === 6) return [...this.#value(), 0x04, 0x40, ...this.#inner(), ...this.#else(), end];
      if (isLoop) return this.#loop();
      return [0x02, 0x40, ...this.#inner(), ...this.#branch(), ...this.#inner(), end];
    } finally {
      this.#labels.pop();
    }
  }

  #inner(): Code {
    return this.#statements(1 + this.#random.below(4));
  }

  #else(): Code {
    return this.#random.oneIn(2) ? [elseOp, ...this.#inner()] : [];
  }

  /** Out of blocks, the innermost or one around it; into a loop's start it would not end. */
  #branch(): Code {
    const target = () =>
      this.#random.of(this.#labels.flatMap((isLoop, at) => (isLoop ? [] : [this.#labels.length - 1 - at])));
    if (this.#random.oneIn(6)) return [...this.#value(), ...number(3), and, 0x0e, 2, target(), target(), target()];
    if (this.#random.oneIn(6)) return [0x0c, target()];
    return [...this.#value(), ...number(1), and, 0x0d, target()];
  }

  #loop(): Code {
    const again = [...get(roundsLocal), ...number(1), subtract, 0x22, roundsLocal, 0x0d, 0];
    return [...number(rounds), 0x21, roundsLocal, 0x03, 0x40, ...this.#inner(), ...again, end];
  }

  #store(): Code {
    const random = this.#random;
    const [op, natural, conversion] = random.of<[number, number, Code]>([
      [0x36, 2, []],
      [0x3a, 0, []],
      [0x3b, 1, []],
      [0x37, 3, [0xad]],
      [0x39, 3, [0xb7]],
      [0x3e, 2, [0xad]],
    ]);
    const align = random.oneIn(3) ? 0 : natural;
    if (random.oneIn(5)) {
      const offset = random.below(frameBytes - 8);
      return [...get(frameLocal), ...this.#value(), ...conversion, op, align, ...unsigned(offset)];
    }
    // In each round of a loop another value: the same one again would look like no write.
    const value = [...this.#value(), ...get(roundsLocal), add];
    const offset = random.of([0, 4, 8, 248, 252, 255, 256, 511, 4092, random.below(1 << 16)]);
    return [...this.#address(), ...value, ...conversion, op, align, ...unsigned(offset)];
  }

  #bulk(): Code {
    const length = this.#random.oneIn(2) ? number(this.#random.below(700)) : [...this.#value(), ...number(0x3ff), and];
    if (this.#random.oneIn(4)) return [...get(frameLocal), ...number(7), ...number(100), 0xfc, 11, 0];
    return [
      ...this.#address(),
      ...this.#value(),
      ...length,
      ...this.#random.of([
        [0xfc, 11, 0],
        [0xfc, 10, 0, 0],
      ]),
    ];
  }

  #address(): Code {
    const random = this.#random;
    if (random.oneIn(4)) return number(random.below(1 << 15));
    if (random.oneIn(3)) return masked([...this.#value(), ...this.#value(), add]);
    if (random.oneIn(5)) return [...get(frameLocal), ...number(random.below(2 * frameBytes)), add];
    return get(this.#anyLocal());
  }

  /** A number below 2^15; to compute it may write and change locals. */
  #value(): Code {
    const random = this.#random;
    if (this.#left <= 0 || random.oneIn(3)) return number(random.below(1 << 15));
    if (random.oneIn(8))
      return [...masked([...get(this.#anyLocal()), ...number(random.below(99)), add]), 0x22, this.#freeLocal()];
    if (random.oneIn(12)) {
      this.#left--;
      return [...this.#store(), ...number(5), drop, ...get(this.#anyLocal())];
    }
    if (random.oneIn(12))
      return [...get(this.#anyLocal()), 0x04, 0x7f, ...number(9), elseOp, ...get(this.#anyLocal()), end];
    return get(this.#anyLocal());
  }

  #anyLocal(): number {
    return this.#random.oneIn(3) ? this.#random.below(2) : this.#freeLocal();
  }

  #freeLocal(): number {
    return this.#random.oneIn(6) ? this.#random.below(2) : firstFree + this.#random.below(this.#locals - firstFree);
  }
}
