/**
 * Where the pages of all images of an engine lie.
 *
 * Owns: places for pages, in blocks that are allocated once. Does not own: what a page holds (`image.ts`).
 * Why: a session's image grows and shrinks all the time. Arrays of its own for each of them would be returned to the
 * system's allocator in other sizes than they are asked for, and the process would grow.
 * Invariant: a place is either free or one image's.
 */
/** The unit in which memory is compared and kept, in bytes. */
export const pageBytes = 4096;

/** Pages in a block: 4 MiB. */
const blockPages = 1024;

/** See the head of the file. A place is a number; places that follow one another in a block lie side by side. */
export class PagePool {
  readonly #blocks: Uint8Array[] = [];
  /** The next places that have never been used are above this. */
  #used = 0;
  readonly #free: number[] = [];

  /** A free place, whose contents are anything. */
  take(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#used === this.#blocks.length * blockPages) this.#blocks.push(new Uint8Array(blockPages * pageBytes));
    return this.#used++;
  }

  /** Gives places back. */
  free(places: readonly number[]): void {
    // The last one is taken first: in this order they come out as they lie.
    for (let at = places.length - 1; at >= 0; at--) this.#free.push(places[at]!);
  }

  /** The bytes of `count` places from `place` on; all of one block. */
  at(place: number, count = 1): Uint8Array {
    const start = (place % blockPages) * pageBytes;
    return this.#blocks[Math.floor(place / blockPages)]!.subarray(start, start + count * pageBytes);
  }

  /** Whether `next` lies right behind `place`. */
  isNext(place: number, next: number): boolean {
    return next === place + 1 && next % blockPages !== 0;
  }
}
