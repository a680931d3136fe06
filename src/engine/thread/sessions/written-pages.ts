/**
 * Which pages of memory have been written to since they were last looked at.
 *
 * Owns: the marks that WebAssembly code makes (`rewrite/mark-writes.ts`) and those that JavaScript has to make itself. Does
 * not own: what is done with the pages (`image.ts`).
 * Invariant: a page of the loaded session that differs from its image has a mark, is part of the stack, or `isUnknown` is
 * true. A mark stands for its granule and the next one.
 */
import { granuleBits, marksImport } from "../rewrite/mark-writes.ts";
import { type WasmMemory, webAssembly } from "../wasm/web-assembly.ts";
import { pageBytes } from "./page-pool.ts";

/** Marks of a page, in words of four. */
const pageWords = (pageBytes >> granuleBits) / 4;

/** See the head of the file. */
export class WrittenPages {
  /** What the modules import. */
  readonly memory: WasmMemory = new webAssembly.Memory({ initial: marksImport.pages, maximum: marksImport.pages });
  /** Addresses whose pages count as written at all times: another thread writes to them. */
  always: readonly number[] = [];
  readonly #marks = new Uint8Array(this.memory.buffer);
  readonly #words = new Uint32Array(this.memory.buffer);
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

  /** Whether the page that begins at this address has a mark. */
  has(address: number): boolean {
    const first = (address >>> granuleBits) / 4;
    for (let word = first; word < first + pageWords; word++) if (this.#words[word] !== 0) return true;
    return this.#marks[4 * first - 1] === 1;
  }

  /** Removes the marks of the pages in these ranges, whose bounds are those of pages. */
  clear(ranges: readonly { readonly start: number; readonly end: number }[]): void {
    for (const { start, end } of ranges) this.#marks.fill(0, start >>> granuleBits, end >>> granuleBits);
    for (const address of this.always) this.add(address, 1);
    this.#isUnknown = false;
  }
}
