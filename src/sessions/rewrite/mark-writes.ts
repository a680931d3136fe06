/**
 * Makes a module mark what it writes to in memory.
 *
 * Owns: the marks: one byte for each granule of 256 bytes, in a second memory that all modules of an engine import. Does not
 * own: who reads and clears them (`sessions/granules.ts`), what JavaScript writes.
 * Why: a session's memory has to be saved when another one is loaded, and comparing all of it costs more than everything
 * else in a switch. A mark costs a few instructions, so as few are made as will do:
 * - A mark stands for its granule and the next one. So stores to `base + offset` with offsets in the same 256 have one mark,
 *   that of `base`, which takes no addition: `offset / 256` goes into the mark's own instruction.
 * - What has been marked is not marked again before the next call: only in a call can another session be loaded.
 * - A function's own frame on the C stack gets no marks: the part of the stack that is in use counts as written.
 * Invariant: no value, no order of effects and no trap of the original changes; a mark is set after its store, and no
 * index of a function, type or global moves.
 */
import { ByteReader, concat, unsigned } from "../wasm/bytes.ts";
import { ExternalKind } from "../wasm/imports.ts";
import { type Instruction, instructions, Op } from "../wasm/instructions.ts";
import { WasmModule } from "../wasm/module.ts";
import { constant, get, i32Type, tee } from "./code.ts";
import { FunctionFlow, type Value } from "./function-flow.ts";

/** Where a module imports the memory of the marks from; it has so many pages of 64 KiB: a byte for each granule of 4 GiB. */
export const marksImport = { module: "env", field: "sessions_written", pages: 256 } as const;

/** A granule is so many bytes: two to the power of this. */
export const granuleBits = 8;

/** How many bytes the stores write. */
const stores = new Map<number, number>([
  [0x36, 4],
  [0x37, 8],
  [0x38, 4],
  [0x39, 8],
  [0x3a, 1],
  [0x3b, 2],
  [0x3c, 1],
  [0x3d, 2],
  [0x3e, 4],
]);
const store8 = 0x3a;
const bulk = { init: 8, copy: 10, fill: 11 } as const;

/** How many granules behind its base a fact's number has room for. */
const factWindows = 1 << 16;

type Code = readonly number[];

/** Code that goes behind an instruction. */
interface Insertion {
  readonly at: number;
  readonly code: Code;
}

/**
 * The same module with marks in all its functions. A module with a memory of its own is returned as it is, and so is one
 * that has been changed before.
 */
export function markWrites(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const module = new WasmModule(bytes);
  const importsMemory = module.imports.some(({ kind }) => kind === ExternalKind.memory);
  const isMarked = module.imports.some(({ field }) => field === marksImport.field);
  if (!importsMemory || isMarked) return new Uint8Array(bytes);
  const marks = module.importMemory(marksImport.module, marksImport.field, marksImport.pages);
  module.bodies.forEach((body, at) => {
    const { parameters } = module.signatureOf(at + module.importedFunctions);
    const marked = new MarkedBody(module, body, parameters, marks).toBytes();
    if (marked) module.bodies[at] = marked;
  });
  return module.toBytes();
}

/** One function's body with marks. */
class MarkedBody {
  readonly #body: Uint8Array;
  readonly #marks: number;
  readonly #flow: FunctionFlow;
  readonly #all: readonly Instruction[];
  readonly #locals: ReturnType<typeof readLocals>;
  readonly #firstAdded: number;
  /** The added locals, each for a value at its height of the operand stack. */
  readonly #added = new Map<number, number>();
  readonly #insertions: Insertion[] = [];

  constructor(module: WasmModule, body: Uint8Array, parameters: number, marks: number) {
    this.#body = body;
    this.#marks = marks;
    this.#all = [...instructions(body, 0, body.length)];
    this.#locals = readLocals(body);
    this.#firstAdded = parameters + this.#locals.count;
    this.#flow = new FunctionFlow(module, body, countSets(this.#all), this.#firstAdded);
  }

  /** The body, or undefined when nothing in it needs a mark. */
  toBytes(): Uint8Array | undefined {
    if (!this.#all.some((instruction) => this.#written(instruction) > 0)) return undefined;
    for (const instruction of this.#all) {
      if (this.#flow.isReachable) this.#mark(instruction);
      this.#flow.step(instruction);
    }
    if (this.#insertions.length === 0) return undefined;
    this.#insertions.sort((one, other) => one.at - other.at);
    const { start, end: first } = this.#locals;
    const added = this.#added.size === 0 ? [] : [...unsigned(this.#added.size), i32Type];
    const groups = this.#locals.groups + (this.#added.size === 0 ? 0 : 1);
    const parts: (Uint8Array | Code)[] = [unsigned(groups), this.#body.subarray(start, first), added];
    let copied = first;
    for (const { at, code } of this.#insertions) {
      parts.push(this.#body.subarray(copied, at), code);
      copied = at;
    }
    return concat([...parts, this.#body.subarray(copied)]);
  }

  /** How many bytes a store writes, infinitely many for what has a length; 0 for other instructions. */
  #written({ op, offset }: Instruction): number {
    const second = this.#body[offset + 1]!;
    const isBulk = op === Op.bulk && (second === bulk.init || second === bulk.copy || second === bulk.fill);
    return isBulk ? Number.POSITIVE_INFINITY : (stores.get(op) ?? 0);
  }

  #mark(instruction: Instruction): void {
    const written = this.#written(instruction);
    if (written === Number.POSITIVE_INFINITY) this.#markLength(instruction);
    else if (written > 0) this.#markStore(instruction, written);
  }

  // The stack has the address and the value.
  #markStore({ offset, end }: Instruction, bytes: number): void {
    const target = this.#flow.operand(1)!;
    const displacement = offsetOf(this.#body, offset + 1);
    if (isInFrame(target, displacement, bytes)) return;
    const code: number[] = [];
    // A constant is marked as a base of 0: its granules have one way to be written only.
    const [start, base] = target.kind === "constant" ? [target.number >>> 0, undefined] : [0, this.#held(target, 1)];
    const first = (start + displacement) >>> granuleBits;
    const last = (start + displacement + bytes - 1) >>> granuleBits;
    for (let granule = first; granule <= last; granule++) {
      const fact = (base === undefined ? 0 : 1 + this.#flow.stateOf(base)) * factWindows + granule;
      if (granule < factWindows && this.#flow.holds(fact)) continue;
      if (granule < factWindows) this.#flow.note(fact);
      const page = base === undefined ? constant(0) : [...get(base), ...constant(granuleBits), Op.i32ShiftRight];
      code.push(...page, ...constant(1), store8, 0x40, ...unsigned(this.#marks), ...unsigned(granule));
    }
    if (code.length > 0) this.#insertions.push({ at: end, code });
  }

  // memory.fill, copy and init: the stack has the target, another one, and the length.
  #markLength({ end }: Instruction): void {
    const [length, target] = [this.#flow.operand(0)!, this.#flow.operand(2)!];
    if (length.kind === "constant" && isInFrame(target, 0, length.number)) return;
    const pushTarget = target.kind === "constant" ? constant(target.number) : get(this.#held(target, 2));
    const pushLength = length.kind === "constant" ? constant(length.number) : get(this.#held(length, 0));
    const granule = [...constant(granuleBits), Op.i32ShiftRight];
    const last = [...pushTarget, ...pushLength, Op.i32Add, ...constant(-1), Op.i32Add, ...granule];
    const count = [...last, ...pushTarget, ...granule, Op.i32Subtract, ...constant(1), Op.i32Add];
    const fill = [Op.bulk, bulk.fill, ...unsigned(this.#marks)];
    const code = [...pushTarget, ...granule, ...constant(1), ...count, ...fill];
    this.#insertions.push({ at: end, code: [...pushLength, Op.if, Op.noResult, ...code, Op.end] });
  }

  /** A local that holds a value of the stack, which is below `depth` others. */
  #held(value: Value, depth: number): number {
    if (value.kind === "local" && this.#flow.stateOf(value.number) === value.state) return value.number;
    const height = this.#flow.heightBelow(depth);
    const local = this.#added.get(height) ?? this.#firstAdded + this.#added.size;
    this.#added.set(height, local);
    this.#insertions.push({ at: value.end, code: tee(local) });
    this.#flow.forget(local);
    return local;
  }
}

/** Whether this is in the frame of the function itself, which ends at 0. */
function isInFrame({ kind, number }: Value, displacement: number, bytes: number): boolean {
  return kind === "frame" && number + displacement + bytes <= 0;
}

function countSets(all: readonly Instruction[]): Map<number, number> {
  const sets = new Map<number, number>();
  for (const { op, operand } of all) {
    if (op === Op.localSet || op === Op.localTee) sets.set(operand, (sets.get(operand) ?? 0) + 1);
  }
  return sets;
}

/** The groups of locals, where they start and end, and how many locals they are. */
function readLocals(body: Uint8Array): { groups: number; start: number; end: number; count: number } {
  const reader = new ByteReader(body);
  const groups = reader.unsigned();
  const start = reader.offset;
  let count = 0;
  for (let group = 0; group < groups; group++) {
    count += reader.unsigned();
    reader.skip(1);
  }
  return { groups, start, end: reader.offset, count };
}

/** The offset immediate of a store, which follows the alignment. */
function offsetOf(body: Uint8Array, at: number): number {
  const reader = new ByteReader(body, at);
  reader.skipNumber();
  return reader.unsigned();
}
