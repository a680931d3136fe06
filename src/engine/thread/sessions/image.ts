/**
 * A session's private memory while another session is loaded.
 *
 * Owns: saving and loading it, page by page. Does not own: when (`scheduler.ts`), where it lies (`private-memory.ts`).
 * How: most pages of a session are the same as those of a session that has just been started, the reference. An image keeps
 * only the others. So an idle session is small, and loading it writes only pages that differ from the reference in the
 * session that goes or in the one that comes. Of the kept pages only those are taken again that have been written to.
 * Invariant: all images of an engine are kept against the same reference. While a session is loaded, a page without a mark
 * (`written-pages.ts`) is as its image or the reference has it.
 */
import type { Machine } from "./machine.ts";
import { type PagePool, pageBytes } from "./page-pool.ts";
import { type MemoryMap, privateRanges, programBreak } from "./private-memory.ts";

/** So many bytes are compared at once before it is looked which page differs. */
const blockBytes = 16 * pageBytes;

/** After so many saves it is looked whether kept pages have become like the reference again. */
const savesUntilReview = 256;

/**
 * The memory that images are compared with. It has no stack: what a session leaves below its stack pointer is not saved, so
 * a page of the stack may hold anything when another session is loaded, and every live one must be written.
 */
export class Reference {
  readonly #ranges: readonly { readonly start: number; readonly bytes: Uint8Array }[];

  /** A copy of the private memory of the loaded session; without arguments, a reference that has no page at all. */
  constructor(machine?: Machine, map?: MemoryMap) {
    const stackEnd = machine ? machine.address("__heap_base") : 0;
    const ranges = machine && map ? privateRanges(map, stackEnd + pageBytes, programBreak(machine)) : [];
    this.#ranges = ranges.map(({ start, end }) => ({ start, bytes: machine!.bytes.slice(start, end) }));
  }

  /** The bytes from `address` on, at most `length`; fewer or none where the reference ends. */
  at(address: number, length: number): Uint8Array {
    for (const { start, bytes } of this.#ranges) {
      if (address >= start && address < start + bytes.length)
        return bytes.subarray(address - start, address - start + length);
    }
    return noBytes;
  }
}

const noBytes = new Uint8Array(0);

/** A range of addresses whose bounds are those of pages. */
interface Range {
  readonly start: number;
  readonly end: number;
}

/** An image. */
export class Image {
  #stack = 0;
  #break = 0;
  readonly #pool: PagePool;
  /** Addresses of the kept pages, ascending, and the place of each in the pool. */
  #addresses: number[] = [];
  #places: number[] = [];
  /** Whether it has ever been taken: only then memory is as here when the session is loaded. */
  #isTaken = false;
  #isDiscarded = false;
  #saves = 0;

  constructor(pool: PagePool) {
    this.#pool = pool;
  }

  /** How many bytes the image holds. */
  get size(): number {
    return this.#addresses.length * pageBytes;
  }

  /** An image with the same contents. */
  copy(): Image {
    const copy = new Image(this.#pool);
    copy.#stack = this.#stack;
    copy.#break = this.#break;
    copy.#addresses = this.#addresses.slice();
    copy.#places = this.#places.map((place) => {
      const copied = this.#pool.take();
      this.#pool.at(copied).set(this.#pool.at(place));
      return copied;
    });
    copy.#isTaken = this.#isTaken;
    return copy;
  }

  /**
   * Its session has ended: from its next `save` on it keeps nothing. It may still be loaded, for a call that finds out that
   * the session has ended.
   */
  discard(): void {
    this.#isDiscarded = true;
  }

  /** Takes the memory of the loaded session, whose image this is. */
  save(machine: Machine, map: MemoryMap, reference: Reference): void {
    this.#stack = stackOf(machine);
    this.#break = programBreak(machine);
    const ranges = privateRanges(map, this.#stack, this.#break);
    const isDue = ++this.#saves % savesUntilReview === 0;
    if (this.#isTaken && !machine.written.isUnknown && !isDue) this.#takeWritten(machine, ranges);
    else this.#takeAll(machine, ranges, reference);
    machine.written.clear(ranges);
    if (!this.#isDiscarded) return;
    this.#pool.free(this.#places);
    this.#places = [];
  }

  /** Puts the memory into the machine, in which that of `outgoing` is as it was saved. */
  load(machine: Machine, reference: Reference, outgoing: Image): void {
    const { bytes } = machine;
    const mine = new Set(this.#addresses);
    for (const address of outgoing.#addresses) {
      if (mine.has(address)) continue;
      // A page that the reference does not have is in the image of every session that has it.
      bytes.set(reference.at(address, pageBytes), address);
    }
    this.#eachRun((address, kept) => bytes.set(kept, address));
    // Nothing of it is in memory any more.
    if (outgoing.#isDiscarded) outgoing.#addresses = [];
    machine.function("_emscripten_stack_restore")(this.#stack);
  }

  /** The same contents against another reference. The machine's memory is overwritten. */
  rebase(from: Reference, to: Reference, machine: Machine, map: MemoryMap): void {
    this.load(machine, from, this);
    this.#isTaken = false;
    this.save(machine, map, to);
  }

  /** For tests: the pages of the loaded session that `save` would not take although they have changed. */
  overlooked(machine: Machine, map: MemoryMap, reference: Reference): number[] {
    if (!this.#isTaken || machine.written.isUnknown) return [];
    const kept = new Map(this.#addresses.map((address, at) => [address, this.#places[at]!]));
    const stackEnd = endOfStack(machine);
    const overlooked: number[] = [];
    for (const { start, end } of privateRanges(map, stackEnd, programBreak(machine))) {
      for (let at = start; at < end; at += pageBytes) {
        if (machine.written.has(at) || (at >= map.dataEnd && at < stackEnd)) continue;
        const place = kept.get(at);
        const last = place === undefined ? reference.at(at, pageBytes) : this.#pool.at(place);
        if (last.length > 0 && !equal(machine.bytes, at, last, pageBytes)) overlooked.push(at);
      }
    }
    return overlooked;
  }

  /** Keeps what was kept and what has been written to. The whole stack is kept: the reference has none. */
  #takeWritten(machine: Machine, ranges: readonly Range[]): void {
    const { bytes, written } = machine;
    const stackEnd = endOfStack(machine);
    const [addresses, places] = [this.#addresses, this.#places];
    this.#addresses = [];
    this.#places = [];
    const freed: number[] = [];
    let next = 0;
    for (const { start, end } of ranges) {
      for (let at = start; at < end; at += pageBytes) {
        while (addresses[next]! < at) freed.push(places[next++]!);
        const isKept = addresses[next] === at;
        const isWritten = written.has(at) || (at >= ranges[1]!.start && at < stackEnd);
        if (!isKept && !isWritten) continue;
        const place = isKept ? places[next++]! : this.#pool.take();
        if (isWritten) this.#pool.at(place).set(bytes.subarray(at, at + pageBytes));
        this.#addresses.push(at);
        this.#places.push(place);
      }
    }
    this.#pool.free([...freed, ...places.slice(next)]);
  }

  /** Goes through the kept pages: those that lie side by side in memory and in the pool are one. */
  #eachRun(visit: (address: number, kept: Uint8Array) => void): void {
    const { length } = this.#addresses;
    for (let first = 0; first < length; ) {
      let next = first + 1;
      while (next < length && this.#isRun(next)) next++;
      visit(this.#addresses[first]!, this.#pool.at(this.#places[first]!, next - first));
      first = next;
    }
  }

  /** Whether a page lies right behind the one before it, in memory and in the pool. */
  #isRun(index: number): boolean {
    const isAdjacent = this.#addresses[index] === this.#addresses[index - 1]! + pageBytes;
    return isAdjacent && this.#pool.isNext(this.#places[index - 1]!, this.#places[index]!);
  }

  /** Keeps what differs from the reference. */
  #takeAll({ bytes }: Machine, ranges: readonly Range[], reference: Reference): void {
    this.#addresses = [];
    for (const { start, end } of ranges) {
      for (let at = start; at < end; at += blockBytes) {
        const length = Math.min(blockBytes, end - at);
        const base = reference.at(at, length);
        if (base.length === length && equal(bytes, at, base, length)) continue;
        this.#findPages(bytes, at, length, base);
      }
    }
    this.#pool.free(this.#places);
    this.#places = this.#addresses.map(() => this.#pool.take());
    this.#eachRun((address, kept) => kept.set(bytes.subarray(address, address + kept.length)));
    this.#isTaken = true;
  }

  #findPages(bytes: Uint8Array, at: number, length: number, base: Uint8Array): void {
    for (let offset = 0; offset < length; offset += pageBytes) {
      const known = base.length >= offset + pageBytes;
      if (known && equal(bytes, at + offset, base.subarray(offset, offset + pageBytes), pageBytes)) continue;
      this.#addresses.push(at + offset);
    }
  }
}

/** The first page's start above the stack. */
function endOfStack(machine: Machine): number {
  return Math.ceil(machine.address("__heap_base") / pageBytes) * pageBytes;
}

function stackOf(machine: Machine): number {
  return machine.function("emscripten_stack_get_current")();
}

/** Whether `length` bytes at `at` are those of `other`. */
function equal(bytes: Uint8Array, at: number, other: Uint8Array, length: number): boolean {
  return Buffer.prototype.compare.call(bytes, other, 0, length, at, at + length) === 0;
}
