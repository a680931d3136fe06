/** Marks of written pages: for every instruction that writes, exactly the pages that it has written to. */
import { expect, test } from "vitest";
import { marksImport, markWrites } from "../../../../src/engine/thread/rewrite/mark-writes.ts";
import { concat, name, signed, unsigned, vector } from "../../../../src/engine/thread/wasm/bytes.ts";
import { joinSections, SectionId } from "../../../../src/engine/thread/wasm/sections.ts";

const i32 = 0x7f;
const [i64, f32, f64] = [0x7e, 0x7d, 0x7c];
const get = (local: number) => [0x20, local];
const end = 0x0b;
/** Turns parameter 1 into the value that a store of a type takes. */
const toType: Record<number, number[]> = { [i32]: [], [i64]: [0xad], [f32]: [0xb2], [f64]: [0xb7] };

/** A module whose function `run(address, value or length)` is these instructions, on an imported memory. */
function moduleOf(code: readonly number[]): Uint8Array {
  const section = (id: number, body: readonly number[]) => ({ id, body: concat([body]) });
  const body = [0, ...code, end];
  return joinSections([
    section(SectionId.type, vector([[0x60, 2, i32, i32, 0]])),
    section(SectionId.import, vector([[...name("env"), ...name("memory"), 2, 0, 4]])),
    section(SectionId.function, vector([[0]])),
    section(SectionId.export, vector([[...name("run"), 0, 0]])),
    section(SectionId.code, vector([[...unsigned(body.length), ...body]])),
  ]);
}

// Memory as the tests need it; the types of WebAssembly are those of the browser, which this project does not load.
interface Api {
  Memory: new (limits: { initial: number; maximum?: number }) => { buffer: ArrayBuffer };
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { exports: { run(address: number, value: number): void } };
}
const { WebAssembly: api } = globalThis as unknown as { WebAssembly: Api };

/** Runs the code with and without marks; the marked pages, after a check that both wrote the same. */
function markedBy(code: readonly number[], address: number, value: number): number[] {
  const { pages, field } = marksImport;
  const marks = new api.Memory({ initial: pages, maximum: pages });
  const memories = [markWrites(moduleOf(code)), moduleOf(code)].map((bytes) => {
    const memory = new api.Memory({ initial: 4 });
    new api.Instance(new api.Module(bytes), { env: { memory, [field]: marks } }).exports.run(address, value);
    return Buffer.from(memory.buffer);
  });
  expect(memories[0]!.equals(memories[1]!)).toBe(true);
  return [...new Uint8Array(marks.buffer)].flatMap((mark, page) => (mark ? [page] : []));
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

test.each(stores)("%s", (_, op, type, bytes) => {
  const store = (align: number, offset: number) => [
    ...get(0),
    ...get(1),
    ...toType[type]!,
    ...[op, align, ...unsigned(offset)],
  ];
  const natural = Math.log2(bytes);
  expect(markedBy(store(natural, 0), 4096 - bytes, 7)).toEqual([0]);
  expect(markedBy(store(natural, 0), 4096, 7)).toEqual([1]);
  expect(markedBy(store(natural, 3 * 4096), 4096, 7)).toEqual([4]);
  // Said to be unaligned, it may lie across pages.
  if (bytes > 1) expect(markedBy(store(0, 0), 4095, 7)).toEqual([0, 1]);
});

test("several stores in one function, of several types", () => {
  const store = (offset: number) => [...get(0), ...get(1), 0x36, 2, ...unsigned(offset)];
  const wide = [...get(0), ...get(1), 0xad, 0x37, 3, ...unsigned(8 * 4096)];
  expect(markedBy([...store(0), ...wide, ...store(2 * 4096)], 4096, 9)).toEqual([1, 3, 9]);
});

const bulk: readonly (readonly [string, readonly number[]])[] = [
  ["memory.fill", [...get(0), 0x41, ...signed(5), ...get(1), 0xfc, 11, 0]],
  ["memory.copy", [...get(0), 0x41, ...signed(0), ...get(1), 0xfc, 10, 0, 0]],
];

test.each(bulk)("%s", (_, code) => {
  expect(markedBy(code, 4096, 1)).toEqual([1]);
  expect(markedBy(code, 4095, 2)).toEqual([0, 1]);
  expect(markedBy(code, 4096, 3 * 4096)).toEqual([1, 2, 3]);
  expect(markedBy(code, 4096, 3 * 4096 + 1)).toEqual([1, 2, 3, 4]);
  expect(markedBy(code, 0, 0)).toEqual([]);
});

test("code that writes nothing, a module without an imported memory, and one that is marked already stay as they are", () => {
  const marked = markWrites(moduleOf([...get(0), 0x1a]));
  expect(markWrites(marked)).toEqual(marked);
  const alone = joinSections([{ id: SectionId.type, body: concat([vector([[0x60, 0, 0]])]) }]);
  expect(markWrites(alone)).toEqual(alone);
});
