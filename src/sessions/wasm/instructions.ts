/**
 * Walking over the instructions of a function body.
 *
 * Owns: how long each instruction is. Does not own: what a sequence of them means (`rewrite/locate.ts`).
 * Mirrors: core specification, "Binary format: instructions", with the proposals that PGlite is built with (sign
 * extension, bulk memory, saturating conversion). Anything else throws, so that a pattern is never read askew.
 */
import { ByteReader } from "./bytes.ts";

/** Operation codes that the rewrite looks for or writes. */
export const Op = {
  unreachable: 0x00,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  brTable: 0x0e,
  return: 0x0f,
  call: 0x10,
  callIndirect: 0x11,
  drop: 0x1a,
  localGet: 0x20,
  localSet: 0x21,
  localTee: 0x22,
  globalGet: 0x23,
  globalSet: 0x24,
  i32Load: 0x28,
  i32Store: 0x36,
  i32Const: 0x41,
  i32EqualZero: 0x45,
  i32Equal: 0x46,
  i32Add: 0x6a,
  i32Subtract: 0x6b,
  i32Or: 0x72,
  i32Shl: 0x74,
  i32ShiftRight: 0x76,
  i32Wrap: 0xa7,
  /** Followed by another code: conversions that saturate, and what works on many bytes. */
  bulk: 0xfc,
  /** Not an instruction: the type of a block without a result. */
  noResult: 0x40,
} as const;

/** One instruction: where it starts and ends, and its first immediate if that is a number. */
export interface Instruction {
  readonly offset: number;
  readonly end: number;
  readonly op: number;
  readonly operand: number;
}

/** The instructions of the function body between `start` and `end`; `first` is where they begin if it is no body. */
export function* instructions(
  bytes: Uint8Array,
  start: number,
  end: number,
  first: number = skipLocals(bytes, start),
): Generator<Instruction> {
  const reader = new ByteReader(bytes, first, end);
  while (!reader.done) {
    const offset = reader.offset;
    const op = reader.byte();
    const operand = readImmediates(reader, op);
    yield { offset, end: reader.offset, op, operand };
  }
}

/** Where the first instruction of a body is. */
export function skipLocals(bytes: Uint8Array, start: number): number {
  const reader = new ByteReader(bytes, start);
  for (let groups = reader.unsigned(); groups > 0; groups--) {
    reader.skipNumber();
    reader.byte();
  }
  return reader.offset;
}

/** Reads past the immediates; the result is the first one, or 0. */
function readImmediates(reader: ByteReader, op: number): number {
  if (op === Op.i32Const) return reader.signed();
  if (op === 0x42 || (op >= 0x02 && op <= 0x04)) return numbers(reader, 1);
  if (op === 0x43) return fixed(reader, 4);
  if (op === 0x44) return fixed(reader, 8);
  if (op === 0x0e) return numbers(reader, reader.unsigned() + 1);
  if (op === Op.callIndirect || (op >= 0x28 && op <= 0x3e)) return numbers(reader, 2);
  if (op === 0x0c || op === 0x0d || op === Op.call || (op >= 0x20 && op <= 0x26)) return numbers(reader, 1);
  if (op === 0x3f || op === 0x40) return fixed(reader, 1);
  if (op === 0xfc) return readBulk(reader);
  const plain = op <= 0x01 || op === 0x05 || op === 0x0b || op === 0x0f || op === 0x1a || op === 0x1b;
  if (plain || (op >= 0x45 && op <= 0xc4)) return 0;
  throw new Error(`unknown WebAssembly instruction 0x${op.toString(16)} at ${reader.offset - 1}`);
}

function readBulk(reader: ByteReader): number {
  const op = reader.unsigned();
  if (op <= 7) return 0;
  const count = { 8: 2, 9: 1, 10: 2, 11: 1 }[op];
  if (count === undefined) throw new Error(`unknown WebAssembly instruction 0xfc ${op} at ${reader.offset - 1}`);
  return numbers(reader, count);
}

function numbers(reader: ByteReader, count: number): number {
  if (count === 0) return 0;
  const first = reader.unsigned();
  for (let rest = count - 1; rest > 0; rest--) reader.skipNumber();
  return first;
}

function fixed(reader: ByteReader, length: number): number {
  reader.skip(length);
  return 0;
}
