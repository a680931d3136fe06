/**
 * Where the pages of all images of an engine lie.
 *
 * Owns: places for pages, in blocks. Does not own: what a page holds (`image.ts`).
 * Why: a session's image grows and shrinks all the time. Arrays of its own for each of them would be returned to the
 * system's allocator in other sizes than they are asked for, and the process would grow.
 * Invariant: a place is either free or one image's; at most one block is allocated without being used.
 */
/** The unit in which memory is compared and kept, in bytes. */
export const pageBytes = 4096;

/** Pages in a block: 4 MiB. */
const blockPages = 1024;

/** A block, and which of its places are free: the last one is taken first. */
interface Block {
  readonly bytes: Uint8Array;
  readonly free: number[];
}

/** See the head of the file. A place is a number; places that follow one another in a block lie side by side. */
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

  /** A free place, whose contents are anything. The first blocks are filled first, so that the others can be given back. */
  take(): number {
    let block = this.#blocks[this.#first];
    while (!block?.free.length) {
      if (++this.#first >= this.#blocks.length) this.#allocate();
      block = this.#blocks[this.#first];
    }
    if (block.free.length === blockPages) this.#unused--;
    return this.#first * blockPages + block.free.pop()!;
  }

  /** Gives places back. */
  free(places: readonly number[]): void {
    // The last one is taken first: in this order they come out as they lie.
    for (let at = places.length - 1; at >= 0; at--) this.#free(places[at]!);
  }

  /** The bytes of `count` places from `place` on; all of one block. */
  at(place: number, count = 1): Uint8Array {
    const start = (place % blockPages) * pageBytes;
    return this.#blocks[Math.floor(place / blockPages)]!.bytes.subarray(start, start + count * pageBytes);
  }

  /** Whether `next` lies right behind `place`. */
  isNext(place: number, next: number): boolean {
    return next === place + 1 && next % blockPages !== 0;
  }

  #allocate(): void {
    const gap = this.#blocks.indexOf(undefined);
    this.#first = gap < 0 ? this.#blocks.length : gap;
    const free = Array.from({ length: blockPages }, (_, at) => blockPages - 1 - at);
    this.#blocks[this.#first] = { bytes: new Uint8Array(blockPages * pageBytes), free };
    this.#unused++;
  }

  #free(place: number): void {
    const index = Math.floor(place / blockPages);
    const { free } = this.#blocks[index]!;
    free.push(place % blockPages);
    this.#first = Math.min(this.#first, index);
    if (free.length < blockPages) return;
    // One is kept: a session that comes and goes would allocate it each time.
    if (this.#unused > 0) this.#blocks[index] = undefined;
    else this.#unused++;
  }
}
