/**
 * Which granules of memory have been written to since they were last looked at.
 *
 * Owns: the marks that WebAssembly code makes (`rewrite/mark-writes.ts`) and those that JavaScript has to make itself. Does
 * not own: who looks at them and removes them (`granule-code.ts`).
 * Invariant: a granule of the loaded session's common memory that differs from what is kept of it has a mark, or the granule
 * before it has one, or it is part of the stack, or `isUnknown` is true.
 */
import { granuleBits, marksImport } from "./rewrite/mark-writes.ts";
import { type WasmMemory, webAssembly } from "./wasm/web-assembly.ts";

const granuleBytes = 1 << granuleBits;
/** What is looked at together by `takePages`: its marks are four words. */
export const markedPageBytes = 4096;
const wordMarks = 4;
const pageWords = markedPageBytes / granuleBytes / wordMarks;
/** Where the last mark of a word is (WebAssembly, and so all of this, is little-endian). */
const lastMark = 24;

/** See the head of the file. */
export class WriteMarks {
  /** What the modules import. */
  readonly memory: WasmMemory = new webAssembly.Memory({ initial: marksImport.pages, maximum: marksImport.pages });
  /** By granule: 1 for a mark. */
  readonly #marks = new Uint8Array(this.memory.buffer);
  #isUnknown = false;

  /** Whether something may have been written anywhere. */
  get isUnknown(): boolean {
    return this.#isUnknown;
  }

  /** JavaScript has written `length` bytes at `address`, or is going to. */
  add(address: number, length: number): void {
    if (length > 0) this.#marks.fill(1, address >>> granuleBits, ((address + length - 1) >>> granuleBits) + 1);
  }

  /** JavaScript may have written anywhere. */
  addUnknown(): void {
    this.#isUnknown = true;
  }

  /** What may have been written anywhere gets its marks in these ranges. */
  settleUnknown(ranges: readonly { readonly start: number; readonly end: number }[]): void {
    if (!this.#isUnknown) return;
    for (const { start, end } of ranges) this.add(start, end - start);
    this.#isUnknown = false;
  }

  /** Whether the granule at this address counts as written to: a mark stands for its granule and the next one. */
  covers(address: number): boolean {
    const granule = address >>> granuleBits;
    return this.#marks[granule] === 1 || this.#marks[granule - 1] === 1;
  }

  /** Visits the pages of a range that may have been written to, by their addresses, and removes their marks. Its bounds are those of pages. */
  takePages({ start, end }: { readonly start: number; readonly end: number }, visit: (address: number) => void): void {
    const [first, last] = [start / granuleBytes, end / granuleBytes];
    const words = new Uint32Array(this.#marks.buffer, first, (last - first) / wordMarks);
    let isBehindMark = this.#marks[first - 1] === 1;
    for (let word = 0; word < words.length; word += pageWords) {
      const isMarked = (words[word]! | words[word + 1]! | words[word + 2]! | words[word + 3]!) !== 0;
      if (!isMarked && !isBehindMark) continue;
      isBehindMark = words[word + pageWords - 1]! >>> lastMark !== 0;
      if (isMarked) words.fill(0, word, word + pageWords);
      visit(start + (word / pageWords) * markedPageBytes);
    }
  }

  /** Removes the marks of these ranges. */
  clear(ranges: readonly { readonly start: number; readonly end: number }[]): void {
    for (const { start, end } of ranges) this.#marks.fill(0, start >>> granuleBits, end >>> granuleBits);
    this.#isUnknown = false;
  }
}
