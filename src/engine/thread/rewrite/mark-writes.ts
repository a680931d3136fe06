/**
 * Makes a module mark every page of memory that it writes to.
 *
 * Owns: the marks: one byte for each page, in a second memory that all modules of an engine import. Does not own: who reads
 * and clears them (`sessions/written-pages.ts`), what JavaScript writes.
 * Why: a session's memory has to be saved when another one is loaded, and comparing all of it costs more than everything
 * else in a switch. A mark costs an instruction or two for each store.
 * Invariant: no value, no order of effects and no trap of the original changes; a mark is set after its store, and no
 * index of a function, type or global moves.
 */
import { ByteReader, concat, signed, unsigned } from "../wasm/bytes.ts";
import { ExternalKind } from "../wasm/imports.ts";
import { instructions, Op, skipLocals } from "../wasm/instructions.ts";
import { WasmModule } from "../wasm/module.ts";

/** Where a module imports the memory of the marks from; it has `marksPages` pages of 64 KiB. */
export const marksImport = { module: "env", field: "sessions_written", pages: 16 } as const;

/** A marked page is so many bytes: two to the power of this. */
export const pageBits = 12;

const valueType = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c } as const;
type ValueType = (typeof valueType)[keyof typeof valueType];

/** The stores: the type of the value, and how many bytes are written. */
const stores = new Map<number, { readonly type: ValueType; readonly bytes: number }>([
  [0x36, { type: valueType.i32, bytes: 4 }],
  [0x37, { type: valueType.i64, bytes: 8 }],
  [0x38, { type: valueType.f32, bytes: 4 }],
  [0x39, { type: valueType.f64, bytes: 8 }],
  [0x3a, { type: valueType.i32, bytes: 1 }],
  [0x3b, { type: valueType.i32, bytes: 2 }],
  [0x3c, { type: valueType.i64, bytes: 1 }],
  [0x3d, { type: valueType.i64, bytes: 2 }],
  [0x3e, { type: valueType.i64, bytes: 4 }],
]);
const bulk = { prefix: 0xfc, init: 8, copy: 10, fill: 11 } as const;
const i32Op = { sub: 0x6b, shrU: 0x76, store8: 0x3a } as const;
const emptyBlock = 0x40;

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
    const marked = new MarkedBody(body, module.parameterCount(at + module.importedFunctions), marks).toBytes();
    if (marked) module.bodies[at] = marked;
  });
  return module.toBytes();
}

/** One function's body with marks. */
class MarkedBody {
  readonly #body: Uint8Array;
  readonly #marks: number;
  readonly #firstLocal: number;
  readonly #groups: number;
  readonly #groupsStart: number;
  /** The types of the added locals; each is made when it is first needed. */
  readonly #added: ValueType[] = [];
  readonly #named = new Map<string, number>();

  constructor(body: Uint8Array, parameters: number, marks: number) {
    this.#body = body;
    this.#marks = marks;
    const { groups, start, count } = readLocals(body);
    this.#groups = groups;
    this.#groupsStart = start;
    this.#firstLocal = parameters + count;
  }

  /** The body, or undefined when it writes nothing. */
  toBytes(): Uint8Array | undefined {
    const body = this.#body;
    const first = skipLocals(body, 0);
    const parts: (Uint8Array | readonly number[])[] = [];
    let copied = first;
    let pending:
      | { readonly start: number; readonly code: (end: number) => readonly (Uint8Array | readonly number[])[] }
      | undefined;
    const settle = (end: number) => {
      if (!pending) return;
      parts.push(body.subarray(copied, pending.start), ...pending.code(end));
      copied = end;
      pending = undefined;
    };
    for (const { offset, op, operand } of instructions(body, 0, body.length)) {
      settle(offset);
      const store = stores.get(op);
      if (store) pending = { start: offset, code: (end) => this.#store(store, operand, body.subarray(offset, end)) };
      else if (op === bulk.prefix) {
        const kind = body[offset + 1]!;
        if (kind !== bulk.init && kind !== bulk.copy && kind !== bulk.fill) continue;
        pending = { start: offset, code: (end) => this.#bulk(body.subarray(offset, end)) };
      }
    }
    settle(body.length);
    if (parts.length === 0) return undefined;
    const groups = this.#added.map((type) => [1, type]);
    return concat([
      unsigned(this.#groups + groups.length),
      body.subarray(this.#groupsStart, first),
      ...groups,
      ...parts,
      body.subarray(copied),
    ]);
  }

  // The stack has the address and the value.
  #store({ type, bytes }: { type: ValueType; bytes: number }, align: number, store: Uint8Array) {
    const value = this.#local(`value ${type}`, type);
    const address = this.#local("address", valueType.i32);
    const offset = offsetOf(store);
    const keep = [...set(value), ...tee(address), ...get(value)];
    const mark = (more: number) => [...get(address), ...plus(offset + more), ...this.#markPage()];
    const isAligned = 1 << align >= bytes;
    return [keep, store, mark(0), isAligned ? [] : mark(bytes - 1)];
  }

  // memory.fill, copy and init: the stack has the target, two others, of which the last is the length.
  #bulk(instruction: Uint8Array) {
    const length = this.#local("length", valueType.i32);
    const source = this.#local("source", valueType.i32);
    const target = this.#local("address", valueType.i32);
    const keep = [...set(length), ...set(source), ...tee(target), ...get(source), ...get(length)];
    const page = [...constant(pageBits), i32Op.shrU];
    const first = [...get(target), ...page];
    const last = [...get(target), ...get(length), Op.i32Add, ...constant(-1), Op.i32Add, ...page];
    const count = [...last, ...first, i32Op.sub, ...constant(1), Op.i32Add];
    const fill = [...first, ...constant(1), ...count, bulk.prefix, bulk.fill, ...unsigned(this.#marks)];
    return [keep, instruction, [...get(length), Op.if, emptyBlock, ...fill, Op.end]];
  }

  // The stack has an address.
  #markPage(): number[] {
    return [...constant(pageBits), i32Op.shrU, ...constant(1), i32Op.store8, 0x40, ...unsigned(this.#marks), 0];
  }

  #local(name: string, type: ValueType): number {
    const known = this.#named.get(name);
    if (known !== undefined) return known;
    const index = this.#firstLocal + this.#added.push(type) - 1;
    this.#named.set(name, index);
    return index;
  }
}

function readLocals(body: Uint8Array): { groups: number; start: number; count: number } {
  const reader = new ByteReader(body);
  const groups = reader.unsigned();
  const start = reader.offset;
  let count = 0;
  for (let group = 0; group < groups; group++) {
    count += reader.unsigned();
    reader.skip(1);
  }
  return { groups, start, count };
}

/** The offset immediate of a store, which follows the alignment. */
function offsetOf(store: Uint8Array): number {
  const reader = new ByteReader(store, 1);
  reader.skipNumber();
  return reader.unsigned();
}

function plus(offset: number): number[] {
  return offset === 0 ? [] : [...constant(offset), Op.i32Add];
}

function get(local: number): number[] {
  return [Op.localGet, ...unsigned(local)];
}

function set(local: number): number[] {
  return [Op.localSet, ...unsigned(local)];
}

function tee(local: number): number[] {
  return [Op.localTee, ...unsigned(local)];
}

function constant(value: number): number[] {
  return [Op.i32Const, ...signed(value)];
}
