/**
 * The WebAssembly code that saves and loads granules.
 *
 * Owns: the generated module. Does not own: when it runs, and the layout of the store (`granules.ts`).
 * Why: what is copied at a switch are some hundred granules from all over the memory. JavaScript would spend more time on
 * finding each than on copying it.
 * Invariant: it writes to PostgreSQL's memory in `load`, `copyIn` and `clear` only, and to the marks in `save` only.
 */
import { generatedModule, TypeList, valueTypes } from "./module/generated-module.ts";
import { call, constant, get, ifTrue, set, tee } from "./rewrite/code.ts";
import { granuleBits, marksImport } from "./rewrite/mark-writes.ts";
import { name, unsigned } from "./wasm/bytes.ts";
import { ExternalKind } from "./wasm/imports.ts";
import { Op } from "./wasm/instructions.ts";

/** The unit in which common memory is compared and kept, in bytes. */
export const granuleBytes = 1 << granuleBits;

/** In the map: the granule has been found in this `save`, and is not hot yet. */
const foundBefore = -1;

/** Where the tables lie in the store; see `granules.ts`. */
export interface StoreLayout {
  /** By granule, a word each: 0, `foundBefore`, or its number among the hot ones plus 1. */
  readonly map: number;
  /** By hot granule, two words each: its address, and that of the template's bytes in the store. */
  readonly table: number;
  /** By hot granule, a word each: the number of the content that is in memory. */
  readonly inMemory: number;
  /** The granules that `save` has found to differ from the template without being hot, a word each. */
  readonly found: number;
}

/** What the module exports. Addresses are of PostgreSQL's memory, or places: addresses in the store. */
export interface GranuleCode {
  /**
   * Looks at the marked granules from `first` to before `end` (a multiple of 16 behind it) and removes their marks. A hot one that differs from
   * the slot is copied there, as content `number`; the others that differ from the template, which lies `toTemplate` behind their
   * addresses, are added to those found, of which there are `found`. Answers how many there are then.
   */
  save(
    first: number,
    end: number,
    toTemplate: number,
    slot: number,
    contents: number,
    number: number,
    found: number,
  ): number;
  /** Puts those of the first `count` hot granules into memory whose content is another one there. Answers how many. */
  load(count: number, slot: number, contents: number): number;
  /** Fills a slot with the template's bytes from hot granule `first` to before `end`. */
  extend(slot: number, first: number, end: number): void;
  /** The first granule from an address on, before `end`, that differs from what is at a place and behind it; or `end`. */
  sameUntil(address: number, place: number, end: number): number;
  /** Copies `length` bytes of memory to a place. */
  copyOut(place: number, address: number, length: number): void;
  /** Copies `length` bytes from a place into memory. */
  copyIn(address: number, place: number, length: number): void;
  /** Copies `length` bytes from one place to another. */
  copyWithin(place: number, from: number, length: number): void;
  /** Fills a part of PostgreSQL's memory with zeros. */
  clear(address: number, length: number): void;
}

/** The memories that the module imports from `host`, in this order. */
const Memory = { store: 0, postgres: 1, marks: 2 } as const;
/** WebAssembly's own limit of pages of 64 KiB. */
export const storePages = 65_536;
const postgresPages = 32_768;

const vectorBytes = 16;
const wordBytes = 4;
/** Operations that only this module needs (core specification, "Binary format: instructions"). */
const Code = { loadByte: 0x2d, lessUnsigned: 0x49, notEqual: 0x47, countZeros: 0x68, and: 0x71, xor: 0x73 } as const;
const simd = 0xfd;
const Vector = {
  load: [simd, 0x00],
  store: [simd, 0x0b],
  zero: [simd, 0x0c, ...new Array<number>(vectorBytes).fill(0)],
  equalBytes: [simd, 0x23],
  notEqualWords: [simd, 0x38],
  or: [simd, 0x50],
  xor: [simd, 0x51],
  anyTrue: [simd, 0x53],
  bitmask: [simd, 0x64],
} as const;
const vectorType = 0x7b;

type Instructions = readonly number[];
type Parts = readonly Instructions[];

/** The operand of a load or store in one of several memories. */
function at(memory: number, offset = 0): number[] {
  return [0x40, memory, ...unsigned(offset)];
}

const load = (memory: number, offset = 0): number[] => [Op.i32Load, ...at(memory, offset)];
const store = (memory: number, offset = 0): number[] => [Op.i32Store, ...at(memory, offset)];
const loadVector = (memory: number, offset = 0): number[] => [...Vector.load, ...at(memory, offset)];
const storeVector = (memory: number, offset = 0): number[] => [...Vector.store, ...at(memory, offset)];
/** A local times a power of two. */
const scaled = (local: number, bits: number): number[] => [...get(local), ...constant(bits), Op.i32Shl];
const plus = (local: number, by: number): number[] => [...get(local), ...constant(by), Op.i32Add];
const sum = (one: number, other: number): number[] => [...get(one), ...get(other), Op.i32Add];

/** Runs `code` while `condition` pushes a number that is not 0. */
function loopWhile(condition: Parts, code: Parts): Parts {
  return [[Op.loop, Op.noResult], ...condition, ...ifTrue([...code, [Op.br, 1]]), [Op.end]];
}

const vectorsOfGranule = Array.from({ length: granuleBytes / vectorBytes }, (_, index) => index * vectorBytes);

/** Copies the granule at local 1 of one memory to local 0 of another. */
function copyBody(to: number, from: number): number[] {
  return body(
    0,
    0,
    vectorsOfGranule.map((offset) => [...get(0), ...get(1), ...loadVector(from, offset), ...storeVector(to, offset)]),
  );
}

/** (address, place) → whether they differ. */
function differsBody(): number[] {
  const pairs = vectorsOfGranule.map((offset, index) => [
    ...[
      ...get(0),
      ...loadVector(Memory.postgres, offset),
      ...get(1),
      ...loadVector(Memory.store, offset),
      ...Vector.xor,
    ],
    ...(index === 0 ? [] : Vector.or),
  ]);
  return body(0, 0, [...pairs, Vector.anyTrue]);
}

/** The indices of the functions: the module imports none. */
const Fn = {
  save: 0,
  load: 1,
  extend: 2,
  differs: 3,
  copyOut: 4,
  copyIn: 5,
  copyWithin: 6,
  clear: 7,
  one: 8,
  toSlot: 9,
  toMemory: 10,
  withinStore: 11,
  sameUntil: 12,
} as const;

/** (granule, toTemplate, slot, contents, number, found) → found: looks at one granule that has a mark. */
function oneBody({ map, inMemory, found }: StoreLayout): number[] {
  const [granule, toTemplate, slot, contents, number, count, known, address] = [0, 1, 2, 3, 4, 5, 6, 7];
  const notHot = [
    [...get(address), ...sum(address, toTemplate), ...call(Fn.differs)],
    ...ifTrue([
      [...scaled(granule, 2), ...constant(foundBefore), ...store(Memory.store, map)],
      [...scaled(count, 2), ...get(granule), ...store(Memory.store, found)],
      [...plus(count, 1), ...set(count)],
    ]),
    [...get(count), Op.return],
  ];
  return body(2, 0, [
    [...scaled(granule, granuleBits), ...set(address)],
    [...scaled(granule, 2), ...load(Memory.store, map), ...tee(known), Op.i32EqualZero],
    ...ifTrue(notHot),
    [...get(known), ...constant(foundBefore), Op.i32Equal],
    ...ifTrue([[...get(count), Op.return]]),
    [...plus(known, -1), ...set(known)],
    // From here on `toTemplate` is the granule's place in the slot.
    [...get(slot), ...scaled(known, granuleBits), Op.i32Add, ...set(toTemplate)],
    [...get(address), ...get(toTemplate), ...call(Fn.differs)],
    ...ifTrue([
      [...get(toTemplate), ...get(address), ...call(Fn.toSlot)],
      [...get(contents), ...scaled(known, 2), Op.i32Add, ...get(number), ...store(Memory.store)],
      [...scaled(known, 2), ...get(number), ...store(Memory.store, inMemory)],
    ]),
    get(count),
  ]);
}

const marksAtOnce = 4 * vectorBytes;
const allMarks = 0xffff;

function saveBody(): number[] {
  const [granule, end, toTemplate, slot, contents, number, found, bits, current, marks] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
  ];
  const look = (which: Instructions): Instructions => [
    ...[...which, ...get(toTemplate), ...get(slot), ...get(contents), ...get(number), ...get(found)],
    ...[...call(Fn.one), ...set(found)],
  ];
  const marksAt = (index: number): number[] => [...get(granule), ...loadVector(Memory.marks, index * vectorBytes)];
  const noneAhead = [
    [...plus(granule, marksAtOnce), ...get(end), Code.lessUnsigned],
    [...[...marksAt(0), ...marksAt(1), ...Vector.or], ...[...marksAt(2), ...marksAt(3), ...Vector.or], ...Vector.or],
    [...Vector.anyTrue, Op.i32EqualZero, Code.and],
  ];
  // A mark stands for its granule and the next one, which may be the first of the next sixteen, and must not be behind the end.
  const sixteen: Parts = [
    [
      ...get(marks),
      ...Vector.zero,
      ...Vector.equalBytes,
      ...Vector.bitmask,
      ...constant(allMarks),
      Code.xor,
      ...tee(bits),
    ],
    [...get(bits), ...constant(1), Op.i32Shl, Op.i32Or, ...set(bits)],
    ...loopWhile(
      [get(bits)],
      [
        [...get(bits), Code.countZeros, ...get(granule), Op.i32Add, ...tee(current), ...get(end), Code.lessUnsigned],
        ...ifTrue([look(get(current))]),
        [...get(bits), ...plus(bits, -1), Code.and, ...set(bits)],
      ],
    ),
    [...get(granule), ...Vector.zero, ...storeVector(Memory.marks)],
  ];
  const before = [...plus(granule, -1), Code.loadByte, ...at(Memory.marks)];
  return body(2, 1, [
    // The mark before the first one, which is not ours, stands for the first one, too.
    get(granule),
    ...ifTrue([before, ...ifTrue([look(get(granule))])]),
    ...loopWhile(
      [[...get(granule), ...get(end), Code.lessUnsigned]],
      [
        ...noneAhead,
        [Op.if, Op.noResult, ...plus(granule, marksAtOnce), ...set(granule), Op.else],
        [...marksAt(0), ...tee(marks), ...Vector.anyTrue],
        ...ifTrue(sixteen),
        [...plus(granule, vectorBytes), ...set(granule), Op.end],
      ],
    ),
    get(found),
  ]);
}

function loadBody({ table, inMemory }: StoreLayout): number[] {
  const [count, slot, contents, index, copied, content, end] = [0, 1, 2, 3, 4, 5, 6];
  const wordAt = (base: number): number[] => [...get(base), ...scaled(index, 2), Op.i32Add];
  const one: Parts = [
    [...wordAt(contents), ...load(Memory.store), ...tee(content)],
    [...scaled(index, 2), ...load(Memory.store, inMemory), Code.notEqual],
    ...ifTrue([
      [...scaled(index, 2), ...get(content), ...store(Memory.store, inMemory)],
      [...scaled(index, 3), ...load(Memory.store, table)],
      [...get(slot), ...scaled(index, granuleBits), Op.i32Add, ...call(Fn.toMemory)],
      [...plus(copied, 1), ...set(copied)],
    ]),
    [...plus(index, 1), ...set(index)],
  ];
  return body(4, 0, [
    ...loopWhile(
      [[...get(index), ...get(count), Code.lessUnsigned]],
      [
        [...wordAt(contents), ...loadVector(Memory.store), ...scaled(index, 2), ...loadVector(Memory.store, inMemory)],
        [...Vector.notEqualWords, ...Vector.anyTrue, Op.if, Op.noResult],
        [...plus(index, vectorBytes / wordBytes), ...set(end)],
        ...loopWhile([[...get(index), ...get(end), Code.lessUnsigned]], one),
        [Op.else, ...plus(index, vectorBytes / wordBytes), ...set(index), Op.end],
      ],
    ),
    get(copied),
  ]);
}

function extendBody({ table }: StoreLayout): number[] {
  const [slot, index, end] = [0, 1, 2];
  return body(0, 0, [
    ...loopWhile(
      [[...get(index), ...get(end), Code.lessUnsigned]],
      [
        [...get(slot), ...scaled(index, granuleBits), Op.i32Add],
        [...scaled(index, 3), ...load(Memory.store, table + wordBytes), ...call(Fn.withinStore)],
        [...plus(index, 1), ...set(index)],
      ],
    ),
  ]);
}

/** (address, place, end) → the address of the first granule that differs. */
function sameUntilBody(): number[] {
  const [address, place, end] = [0, 1, 2];
  return body(0, 0, [
    ...loopWhile(
      [[...get(address), ...get(end), Code.lessUnsigned]],
      [
        [...get(address), ...get(place), ...call(Fn.differs)],
        ...ifTrue([[...get(address), Op.return]]),
        [...plus(address, granuleBytes), ...set(address), ...plus(place, granuleBytes), ...set(place)],
      ],
    ),
    get(address),
  ]);
}

/** (target, source, length) */
function copyManyBody(to: number, from: number): number[] {
  return body(0, 0, [[...get(0), ...get(1), ...get(2), Op.bulk, 10, to, from]]);
}

/** A function of this code with so many more locals of type i32, and then vectors. */
function body(words: number, vectors: number, code: Parts): number[] {
  const groups = [
    [words, valueTypes.i!],
    [vectors, vectorType],
  ].filter(([count]) => count! > 0);
  return [groups.length, ...groups.flat(), ...code.flat(), Op.end];
}

/** The module. It imports `host.store`, `host.postgres` and `host.marks`, and exports what `GranuleCode` has. */
export function granuleCode(layout: StoreLayout): Uint8Array<ArrayBuffer> {
  const types = new TypeList();
  const memory = (field: string, limits: readonly number[]) => [
    ...name("host"),
    ...name(field),
    ExternalKind.memory,
    ...limits,
  ];
  const imports = [
    memory("store", [1, ...unsigned(1), ...unsigned(storePages)]),
    memory("postgres", [3, ...unsigned(1), ...unsigned(postgresPages)]),
    memory("marks", [1, ...unsigned(marksImport.pages), ...unsigned(marksImport.pages)]),
  ];
  const functions: Record<keyof typeof Fn, readonly [signature: string, body: number[]]> = {
    save: ["iiiiiiii", saveBody()],
    load: ["iiii", loadBody(layout)],
    extend: ["viii", extendBody(layout)],
    differs: ["iii", differsBody()],
    copyOut: ["viii", copyManyBody(Memory.store, Memory.postgres)],
    copyIn: ["viii", copyManyBody(Memory.postgres, Memory.store)],
    copyWithin: ["viii", copyManyBody(Memory.store, Memory.store)],
    clear: ["vii", body(0, 0, [[...get(0), ...constant(0), ...get(1), Op.bulk, 11, Memory.postgres]])],
    one: ["iiiiiii", oneBody(layout)],
    toSlot: ["vii", copyBody(Memory.store, Memory.postgres)],
    toMemory: ["vii", copyBody(Memory.postgres, Memory.store)],
    withinStore: ["vii", copyBody(Memory.store, Memory.store)],
    sameUntil: ["iiii", sameUntilBody()],
  };
  const all = Object.entries(functions).map(([field, [signature, code]]) => ({
    field,
    type: types.index(signature),
    body: code,
  }));
  return generatedModule(types, imports, all, 0);
}
