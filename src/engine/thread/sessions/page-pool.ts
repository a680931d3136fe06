/**
 * Where the pages of all images of an engine lie.
 *
 * Owns: places for pages, in blocks, and how many images use each. Does not own: what a page holds (`image.ts`).
 * Why: sessions that do the same have the same pages, so most places are used by many images. And a session's image grows
 * and shrinks all the time: arrays of its own for each of them would be returned to the system's allocator in other sizes
 * than they are asked for, and the process would grow.
 * Invariant: a place is free exactly when nobody uses it; at most one block is allocated without being used.
 */
import assert from "node:assert/strict";

/** The unit in which memory is compared and kept, in bytes. */
export const pageBytes = 4096;

/** Pages in a block: 4 MiB. */
const blockPages = 1024;

/** A block: its places, how many use each, and which are free: the last one is taken first. */
interface Block {
  readonly places: readonly Uint8Array[];
  readonly users: Uint32Array;
  readonly free: number[];
}

/** See the head of the file. A place is a number. */
export class PagePool {
  /** Undefined for a block that was given back. */
  readonly #blocks: (Block | undefined)[] = [];
  /** No block before this one has a free place. */
  #first = -1;
  /** How many blocks have no place in use. */
  #unused = 0;

  /** How many bytes it has allocated. */
  get size(): number {
    return this.#blocks.filter((block) => block !== undefined).length * blockPages * pageBytes;
  }

  /** A free place, for one user; its contents are anything. The first blocks are filled first, so that the others can be given back. */
  take(): number {
    let block = this.#blocks[this.#first];
    while (!block?.free.length) {
      if (++this.#first >= this.#blocks.length) this.#allocate();
      block = this.#blocks[this.#first];
    }
    if (block.free.length === blockPages) this.#unused--;
    const index = block.free.pop()!;
    assert(block.users[index] === 0, "a free place has no users");
    block.users[index] = 1;
    return this.#first * blockPages + index;
  }

  /** Adds a user, who may read it only while there is another one. Answers the place. */
  share(place: number): number {
    const { users } = this.#block(place);
    assert(users[place % blockPages]! > 0, "a place is shared with somebody who uses it");
    users[place % blockPages]!++;
    return place;
  }

  /** Whether it has more than one user. */
  isShared(place: number): boolean {
    return this.#block(place).users[place % blockPages]! > 1;
  }

  /** Takes one user away; without any, the place is free. */
  release(place: number): void {
    const index = Math.floor(place / blockPages);
    const { users, free } = this.#block(place);
    assert(users[place % blockPages]! > 0, "a place is given back once by each of its users");
    if (--users[place % blockPages]! > 0) return;
    free.push(place % blockPages);
    assert(free.length <= blockPages, "a block has no more free places than places");
    this.#first = Math.min(this.#first, index);
    if (free.length < blockPages) return;
    // One is kept: a session that comes and goes would allocate it each time.
    if (this.#unused > 0) this.#blocks[index] = undefined;
    else this.#unused++;
  }

  /** The bytes of a place. */
  at(place: number): Uint8Array {
    return this.#block(place).places[place % blockPages]!;
  }

  #block(place: number): Block {
    const block = this.#blocks[Math.floor(place / blockPages)];
    assert(block, "a place that somebody uses lies in a block that is kept");
    return block;
  }

  #allocate(): void {
    const gap = this.#blocks.indexOf(undefined);
    this.#first = gap < 0 ? this.#blocks.length : gap;
    const bytes = new Uint8Array(blockPages * pageBytes);
    const places = Array.from({ length: blockPages }, (_, at) => bytes.subarray(at * pageBytes, (at + 1) * pageBytes));
    const free = Array.from({ length: blockPages }, (_, at) => blockPages - 1 - at);
    this.#blocks[this.#first] = { places, users: new Uint32Array(blockPages), free };
    this.#unused++;
  }
}
