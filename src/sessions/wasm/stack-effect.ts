/**
 * What an instruction takes from the operand stack and puts there.
 *
 * Owns: the counts for instructions without control flow and calls. Does not own: how long an instruction is
 * (`instructions.ts`), blocks, branches and calls (`../rewrite/function-flow.ts`).
 * Mirrors: core specification, "Validation: instructions", with the proposals of `instructions.ts`.
 */
import { Op } from "./instructions.ts";

/** How many values an instruction takes, and how many it leaves. */
interface StackEffect {
  readonly pops: number;
  readonly pushes: number;
}

const none: StackEffect = { pops: 0, pushes: 0 };
const push: StackEffect = { pops: 0, pushes: 1 };
const drop: StackEffect = { pops: 1, pushes: 0 };
const unary: StackEffect = { pops: 1, pushes: 1 };
const binary: StackEffect = { pops: 2, pushes: 1 };
const store: StackEffect = { pops: 2, pushes: 0 };
const bulk: StackEffect = { pops: 3, pushes: 0 };

/** The first and the last operation code of a range, and what the range does. */
const ranges: readonly (readonly [number, number, StackEffect])[] = [
  [0x01, 0x01, none],
  [Op.drop, Op.drop, drop],
  [0x1b, 0x1b, { pops: 3, pushes: 1 }],
  [Op.localGet, Op.localGet, push],
  [Op.localSet, Op.localSet, drop],
  [Op.localTee, Op.localTee, unary],
  [Op.globalGet, Op.globalGet, push],
  [Op.globalSet, Op.globalSet, drop],
  // Loads, stores, memory.size, memory.grow, constants.
  [0x28, 0x35, unary],
  [0x36, 0x3e, store],
  [0x3f, 0x3f, push],
  [0x40, 0x40, unary],
  [0x41, 0x44, push],
  // Tests and comparisons of the four types.
  [0x45, 0x45, unary],
  [0x46, 0x4f, binary],
  [0x50, 0x50, unary],
  [0x51, 0x66, binary],
  // Arithmetic: clz, ctz and popcnt, or abs … sqrt, and then what has two operands.
  [0x67, 0x69, unary],
  [0x6a, 0x78, binary],
  [0x79, 0x7b, unary],
  [0x7c, 0x8a, binary],
  [0x8b, 0x91, unary],
  [0x92, 0x98, binary],
  [0x99, 0x9f, unary],
  [0xa0, 0xa6, binary],
  // Conversions and sign extensions.
  [0xa7, 0xc4, unary],
];

const effects: (StackEffect | undefined)[] = [];
for (const [first, last, effect] of ranges) for (let op = first; op <= last; op++) effects[op] = effect;

/** `second` is the byte behind the operation code. Undefined for instructions that are not this file's. */
export function stackEffect(op: number, second: number): StackEffect | undefined {
  if (op !== Op.bulk) return effects[op];
  if (second <= 7) return unary;
  return second === 9 ? none : bulk;
}
