/** Marks of what is written: for every instruction that writes, a mark on what it has written, or on the granule before. */
import { expect, test } from "vitest";
import { granuleBits, marksImport, markWrites } from "../../../src/sessions/rewrite/mark-writes.ts";
import { concat, name, signed, unsigned, vector } from "../../../src/sessions/wasm/bytes.ts";
import { joinSections, SectionId } from "../../../src/sessions/wasm/sections.ts";
import { Random, runSeed } from "../../support/random.ts";
import { frameBytes, randomBody } from "./random-function.ts";

const i32 = 0x7f;
const [i64, f32, f64] = [0x7e, 0x7d, 0x7c];
const get = (local: number) => [0x20, local];
const number = (value: number) => [0x41, ...signed(value)];
const end = 0x0b;
const call = [0x10, 0];
/** Turns parameter 1 into the value that a store of a type takes. */
const toType: Record<number, number[]> = { [i32]: [], [i64]: [0xad], [f32]: [0xb2], [f64]: [0xb7] };
/** Locals of type i32 beside the two parameters. */
const locals = 8;
const stackTop = 0x4000;

/**
 * A module whose function `run(address, value or length)` is these instructions, on an imported memory. Its function 0 is
 * the import `switch`; its global 0 is the stack pointer.
 */
function moduleOf(code: readonly number[]): Uint8Array {
  const section = (id: number, body: readonly number[]) => ({ id, body: concat([body]) });
  const body = [1, locals, i32, ...code, end];
  const stackPointer = [0, 0x23, 0, end];
  return joinSections([
    section(
      SectionId.type,
      vector([
        [0x60, 2, i32, i32, 0],
        [0x60, 0, 0],
        [0x60, 0, 1, i32],
      ]),
    ),
    section(
      SectionId.import,
      vector([
        [...name("env"), ...name("switch"), 0, 1],
        [...name("env"), ...name("memory"), 2, 0, 4],
      ]),
    ),
    section(SectionId.function, vector([[0], [2]])),
    section(SectionId.global, vector([[i32, 1, ...number(stackTop), end]])),
    section(
      SectionId.export,
      vector([
        [...name("run"), 0, 1],
        [...name("emscripten_stack_get_current"), 0, 2],
      ]),
    ),
    section(SectionId.code, vector([body, stackPointer].map((bytes) => [...unsigned(bytes.length), ...bytes]))),
  ]);
}

// Memory as the tests need it; the types of WebAssembly are those of the browser, which this project does not load.
interface Api {
  Memory: new (limits: { initial: number; maximum?: number }) => { buffer: ArrayBuffer };
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { exports: { run(address: number, value: number): void } };
}
const { WebAssembly: api } = globalThis as unknown as { WebAssembly: Api };

const memory = new api.Memory({ initial: 4 });
const contents = new Uint8Array(memory.buffer);
const marksMemory = new api.Memory({ initial: marksImport.pages, maximum: marksImport.pages });
const marks = new Uint8Array(marksMemory.buffer, 0, contents.length >> granuleBits);
const random = new Random(1);
const initial = Uint8Array.from(contents, () => random.below(256));

/** Runs a module on memory that has random contents; `onSwitch` is called whenever another session could be loaded. */
function run(bytes: Uint8Array, [address, value]: [number, number], onSwitch: () => void): Uint8Array {
  contents.set(initial);
  marks.fill(0);
  const env = { memory, [marksImport.field]: marksMemory, switch: onSwitch };
  new api.Instance(new api.Module(bytes), { env }).exports.run(address, value);
  onSwitch();
  return contents.slice();
}

/** Runs the code with and without marks; the marked granules at each switch and at the end, after a check that they will do. */
function markedBy(code: readonly number[], address: number, value: number): number[][] {
  const marked: number[][] = [];
  let last = initial;
  const written = run(markWrites(moduleOf(code)), [address, value], () => {
    for (let granule = 0; granule < marks.length; granule++) {
      const [start, end] = [granule << granuleBits, (granule + 1) << granuleBits];
      // In use it counts as written, and when the function has returned, it is nobody's.
      const isStack = start >= stackTop - frameBytes && start < stackTop;
      if (isStack || marks[granule] === 1 || marks[granule - 1] === 1) continue;
      if (Buffer.compare(contents.subarray(start, end), last.subarray(start, end)) === 0) continue;
      throw new Error(`no mark for a write between ${start} and ${end}`);
    }
    last = contents.slice();
    marked.push([...marks].flatMap((mark, granule) => (mark ? [granule] : [])));
    marks.fill(0);
  });
  expect(
    Buffer.compare(
      written,
      run(moduleOf(code), [address, value], () => {}),
    ),
  ).toBe(0);
  return marked;
}

const stores: readonly (readonly [string, number, number, number])[] = [
  ["i32.store", 0x36, i32, 4],
  ["i64.store", 0x37, i64, 8],
  ["f32.store", 0x38, f32, 4],
  ["f64.store", 0x39, f64, 8],
  ["i32.store8", 0x3a, i32, 1],
  ["i32.store16", 0x3b, i32, 2],
  ["i64.store8", 0x3c, i64, 1],
  ["i64.store16", 0x3d, i64, 2],
  ["i64.store32", 0x3e, i64, 4],
];
/** A frame of 64 bytes, whose start local 2 is. */
const frame = [0x23, 0, ...number(64), 0x6b, 0x22, 2, 0x24, 0];
const store = (offset: number, base: readonly number[] = get(0)) => [...base, ...get(1), 0x36, 2, ...unsigned(offset)];

test.each(stores)("%s", (_, op, type, bytes) => {
  const code = (align: number, offset: number, base: number[]) => [
    ...base,
    ...get(1),
    ...toType[type]!,
    ...[op, align, ...unsigned(offset)],
  ];
  const natural = Math.log2(bytes);
  const computed = [...get(0), ...number(0), 0x6a];
  for (const base of [get(0), computed]) {
    expect(markedBy(code(natural, 0, base), 4096 - bytes, 7)).toEqual([[15]]);
    expect(markedBy(code(natural, 0, base), 4096, 7)).toEqual([[16]]);
    // The granule of the base and as many behind it as the offset has.
    expect(markedBy(code(natural, 3 * 4096, base), 4096, 7)).toEqual([[64]]);
    expect(markedBy(code(natural, 0x1f8, base), 0x10ff, 7)).toEqual([[17]]);
    expect(markedBy(code(0, 0x1ff, base), 0x10ff, 7)).toEqual([bytes > 1 ? [17, 18] : [17]]);
  }
  expect(markedBy(code(0, 0x100, number(0x10ff)), 0, 7)).toEqual([bytes > 1 ? [17, 18] : [17]]);
});

test("stores that one mark is enough for have one, up to the next call, or until the base is another one", () => {
  const [near, far] = [[...store(0), ...store(4), ...store(248)], store(256)];
  const marks = (code: readonly number[]) => markWrites(moduleOf(code)).length - markWrites(moduleOf(store(0))).length;
  expect(marks([...near, ...store(8)])).toBe(3 * store(4).length + 1);
  expect(markedBy([...near, ...far], 4096, 9)).toEqual([[16, 17]]);
  expect(markedBy([...near, ...call, ...store(4)], 4096, 9)).toEqual([[16], [16]]);
  expect(markedBy([...near, ...number(8192), 0x21, 0, ...store(4)], 4096, 9)).toEqual([[16, 32]]);
  expect(markedBy([...store(0, number(8192)), ...store(4, number(8192)), ...call], 0, 9)).toEqual([[32], []]);
});

test("a mark on one way only is none behind it", () => {
  const inIf = [...get(1), 0x04, 0x40, ...store(0), end, ...store(4)];
  const inElse = [...get(1), 0x04, 0x40, ...store(0), 0x05, ...store(4), end];
  const twice = [...store(0), ...number(2), 0x21, 2, 0x03, 0x40, ...get(0), ...get(2), 0x36, 2, 4, ...call];
  const inLoop = [...twice, ...get(2), ...number(1), 0x6b, 0x22, 2, 0x0d, 0, end];
  const leavesCall = [...store(0), 0x02, 0x40, ...get(1), 0x0d, 0, ...call, end, ...store(4)];
  const afterCall = [0x03, 0x40, ...store(0), ...call, ...number(0), 0x0d, 0, end, ...store(4)];
  for (const value of [0, 1])
    for (const code of [inIf, inElse, inLoop, leavesCall, afterCall]) markedBy(code, 4096, value);
  const outwards = [0x02, 0x40, 0x02, 0x40, ...get(1), 0x0d, 1, end, ...store(0), end, ...store(4)];
  const byTable = [0x02, 0x40, 0x02, 0x40, ...get(1), 0x0e, 1, 0, 1, end, ...store(0), end, ...store(4)];
  const value = [...number(7), ...get(1), 0x6a];
  const isFrame = [...frame, ...get(1), 0x04, 0x40, ...get(2), 0x21, 3, end, ...get(3), ...value, 0x36, 2, 0];
  for (const taken of [0, 1]) for (const code of [outwards, byTable, isFrame]) markedBy(code, 8192, taken);
  // An error that does not come back takes nothing away.
  const fails = [...store(0), ...get(1), 0x04, 0x40, ...call, 0x00, end, ...store(4)];
  const grows = markWrites(moduleOf(fails)).length - moduleOf(fails).length;
  expect(grows).toBe(markWrites(moduleOf([...store(0), ...call])).length - moduleOf([...store(0), ...call]).length);
});

test("a function's own frame has no marks, what lies above it has", () => {
  expect(markedBy([...frame, ...store(60, get(2)), ...call], 0, 9)).toEqual([[], []]);
  expect(markedBy([...frame, ...store(64, get(2)), ...call], 0, 9)).toEqual([[(stackTop - 64) >> granuleBits], []]);
  const other = [...frame, ...get(0), 0x21, 2, ...store(0, get(2))];
  expect(markedBy(other, 4096, 9)).toEqual([[16]]);
});

const bulk: readonly (readonly [string, readonly number[]])[] = [
  ["memory.fill", [...get(0), ...number(5), ...get(1), 0xfc, 11, 0]],
  ["memory.copy", [...get(0), ...number(0), ...get(1), 0xfc, 10, 0, 0]],
];

test.each(bulk)("%s", (_, code) => {
  expect(markedBy(code, 4096, 1)).toEqual([[16]]);
  expect(markedBy(code, 4095, 2)).toEqual([[15, 16]]);
  expect(markedBy(code, 4096, 3 * 256)).toEqual([[16, 17, 18]]);
  expect(markedBy(code, 4096, 3 * 256 + 1)).toEqual([[16, 17, 18, 19]]);
  expect(markedBy(code, 0, 0)).toEqual([[]]);
});

test("code that writes nothing, a module without an imported memory, and one that is marked already stay as they are", () => {
  const marked = markWrites(moduleOf([...get(0), 0x1a]));
  expect(markWrites(marked)).toEqual(marked);
  const alone = joinSections([{ id: SectionId.type, body: concat([vector([[0x60, 0, 0]])]) }]);
  expect(markWrites(alone)).toEqual(alone);
});

test(`random functions mark all that they write (seed ${runSeed})`, () => {
  const random = new Random(runSeed);
  let marks = 0;
  for (let count = 0; count < 1500; count++) {
    const seed = random.below(1 << 30);
    try {
      const marked = markedBy(randomBody(new Random(seed), locals), 4 * random.below(1 << 13), random.below(1 << 15));
      marks += marked.flat().length;
    } catch (error) {
      throw new Error(`function ${count}, of seed ${seed}`, { cause: error });
    }
  }
  expect(marks).toBeGreaterThan(1500);
});
