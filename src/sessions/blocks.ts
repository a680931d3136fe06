/**
 * Memory for what is kept of the sessions, in a WebAssembly memory of its own.
 *
 * Owns: handing out blocks, whose sizes are powers of two, and growing the memory. Does not own: what lies in them (`granules.ts`, `image.ts`).
 * Invariant: a block belongs to one owner until it is given back, and is then handed out again in its own size only.
 */
import assert from "node:assert/strict";
import type { WasmMemory } from "./wasm/web-assembly.ts";

const pageBytes = 1 << 16;
const smallest = 1 << 12;

/** A part of the memory. */
export interface Block {
  readonly at: number;
  readonly bytes: number;
}

/** See the head of the file. */
export class Blocks {
  readonly #memory: WasmMemory;
  #end: number;
  /** By size. */
  readonly #free = new Map<number, Block[]>();
  #used = 0;

  /** In `memory` from `start` on. */
  constructor(memory: WasmMemory, start: number) {
    this.#memory = memory;
    this.#end = start;
  }

  /** How many bytes are handed out. */
  get used(): number {
    return this.#used;
  }

  /** A block of at least so many bytes, which hold anything. Throws RangeError when the memory cannot grow, and hands out nothing then. */
  take(atLeast: number): Block {
    let bytes = smallest;
    while (bytes < atLeast) bytes *= 2;
    const known = this.#free.get(bytes)?.pop();
    const block = known ?? { at: this.#end, bytes };
    const missing = block.at + bytes - this.#memory.buffer.byteLength;
    if (missing > 0) this.#memory.grow(Math.ceil(missing / pageBytes));
    if (!known) this.#end += bytes;
    this.#used += bytes;
    return block;
  }

  release(block: Block): void {
    this.#used -= block.bytes;
    assert(this.#used >= 0, "a block is given back once");
    const free = this.#free.get(block.bytes);
    if (free) free.push(block);
    else this.#free.set(block.bytes, [block]);
  }
}
