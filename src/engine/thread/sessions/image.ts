/**
 * A session's private memory while another session is loaded.
 *
 * Owns: saving and loading it, page by page. Does not own: when (`scheduler.ts`), where it lies (`private-memory.ts`).
 * How: an image is a list of places in the pool, one for each page, and images with the same page have the same place.
 * Sessions begin as copies and do the same things, so most pages of any two are the same: loading one writes only the
 * others. Of a session that has run, only those pages are looked at that have been written to. Pages that have become the
 * same are found where they are compared anyway: when one would be written over the other, and, with those of the
 * reference, when a place would be taken.
 * Invariant: nobody writes to a place that more than one image has. While a session is loaded, a page that has no mark
 * (`written-pages.ts`) and is not part of the stack is as its image has it.
 */
import assert from "node:assert/strict";
import type { Machine } from "./machine.ts";
import { type PagePool, pageBytes } from "./page-pool.ts";
import { dataEnd, type MemoryMap, privateRanges, programBreak } from "./private-memory.ts";

/** In place of a place: the page is not kept, and in memory it may hold anything. */
const nowhere = -1;

/** A range of addresses whose bounds are those of pages. */
interface Range {
  readonly start: number;
  readonly end: number;
}

/** An image. */
export class Image {
  #stack = 0;
  readonly #pool: PagePool;
  /** Which memory it has: the addresses of its pages, ascending. The array is never changed. */
  #ranges: readonly Range[] = [];
  #addresses: readonly number[] = [];
  /** The place of each page in the pool. */
  #places: number[] = [];
  #isDiscarded = false;

  constructor(pool: PagePool) {
    this.#pool = pool;
  }

  /** How many bytes the image holds that are in no other one. */
  get size(): number {
    return this.#places.filter((place) => place !== nowhere && !this.#pool.isShared(place)).length * pageBytes;
  }

  /** An image with the same contents. */
  copy(): Image {
    const copy = new Image(this.#pool);
    copy.#stack = this.#stack;
    copy.#ranges = this.#ranges;
    copy.#addresses = this.#addresses;
    copy.#places = this.#places.map((place) => (place === nowhere ? nowhere : this.#pool.share(place)));
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
  save(machine: Machine, map: MemoryMap, reference?: Image): void {
    const { bytes, written } = machine;
    this.#stack = stackOf(machine);
    this.#setRanges(privateRanges(map, this.#stack, programBreak(machine)));
    const [addresses, places, stack] = [this.#addresses, this.#places, stackRange(machine, this.#stack)];
    for (let index = 0; index < addresses.length; index++) {
      const address = addresses[index]!;
      const isWritten = written.isUnknown || written.has(address) || isIn(address, stack);
      if (isWritten || places[index] === nowhere) {
        places[index] = this.#take(bytes, address, places[index]!, reference);
      }
    }
    written.clear(this.#ranges);
  }

  /** Puts the memory into the machine, in which that of `outgoing` is as it was saved. */
  load(machine: Machine, outgoing: Image): void {
    const { bytes, written } = machine;
    const [addresses, places, theirs] = [this.#addresses, this.#places, outgoing.#addresses];
    let next = 0;
    for (let index = 0; index < addresses.length; index++) {
      const address = addresses[index]!;
      while (theirs[next]! < address) next++;
      // A page with a mark is written to by another thread, at any time.
      const there = theirs[next] === address && !written.has(address) ? outgoing.#places[next]! : nowhere;
      const place = places[index]!;
      if (place === there || place === nowhere) continue;
      const page = this.#pool.at(place);
      if (there === nowhere || !equal(bytes, address, page)) bytes.set(page, address);
      else places[index] = this.#exchange(place, there);
    }
    // Nothing of it is in memory any more.
    if (outgoing.#isDiscarded) outgoing.#setRanges([]);
    machine.function("_emscripten_stack_restore")(this.#stack);
  }

  /** For tests: the pages of the loaded session, without those of its stack, that `save` would not take although they have changed. */
  overlooked(machine: Machine): number[] {
    const { bytes, written } = machine;
    if (written.isUnknown) return [];
    const stack = stackRange(machine, dataEnd(machine));
    return this.#addresses.filter((address, index) => {
      const place = this.#places[index]!;
      if (place === nowhere || written.has(address) || isIn(address, stack)) return false;
      return !equal(bytes, address, this.#pool.at(place));
    });
  }

  /** The place for a page of the loaded session that may have changed. */
  #take(bytes: Uint8Array, address: number, place: number, reference: Image | undefined): number {
    if (this.#isDiscarded) return this.#exchange(place, undefined);
    if (place === nowhere || this.#pool.isShared(place)) {
      if (place !== nowhere && equal(bytes, address, this.#pool.at(place))) return place;
      const common = reference ? reference.#placeOf(address) : nowhere;
      const isCommon = common !== nowhere && equal(bytes, address, this.#pool.at(common));
      place = this.#exchange(place, isCommon ? common : undefined);
      if (isCommon) return place;
      place = this.#pool.take();
    }
    assert(!this.#pool.isShared(place), "nobody writes to a place that more than one image has");
    this.#pool.at(place).set(bytes.subarray(address, address + pageBytes));
    return place;
  }

  /** Gives a place back; the other one, if any, is used from now on. */
  #exchange(place: number, other: number | undefined): number {
    if (place !== nowhere) this.#pool.release(place);
    return other === undefined ? nowhere : this.#pool.share(other);
  }

  #placeOf(address: number): number {
    let [low, high] = [0, this.#addresses.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#addresses[middle]! < address) low = middle + 1;
      else high = middle;
    }
    return this.#addresses[low] === address ? this.#places[low]! : nowhere;
  }

  /** From now on it has the pages in these ranges: those that it has not had are kept nowhere yet. */
  #setRanges(ranges: readonly Range[]): void {
    const isSame = ranges.length === this.#ranges.length && ranges.every((range, at) => same(range, this.#ranges[at]!));
    if (isSame) return;
    const [addresses, places] = [this.#addresses, this.#places];
    const kept: number[] = [];
    this.#places = [];
    let next = 0;
    const passOver = (end: number) => {
      for (; addresses[next]! < end; next++) this.#exchange(places[next]!, undefined);
    };
    for (const { start, end } of ranges) {
      for (let address = start; address < end; address += pageBytes) {
        passOver(address);
        this.#places.push(addresses[next] === address ? places[next++]! : nowhere);
        kept.push(address);
      }
    }
    passOver(Number.POSITIVE_INFINITY);
    assert(this.#places.length === kept.length, "each page of an image has a place, or is kept nowhere");
    this.#ranges = ranges;
    this.#addresses = kept;
  }
}

function same(one: Range, other: Range): boolean {
  return one.start === other.start && one.end === other.end;
}

function stackOf(machine: Machine): number {
  return machine.function("emscripten_stack_get_current")();
}

/** Where the stack is in use, given its pointer: functions make no marks in their frames. */
function stackRange(machine: Machine, stack: number): Range {
  return { start: pageOf(stack), end: machine.address("__heap_base") };
}

/** The address at which the page of another address begins. */
function pageOf(address: number): number {
  return address - (address % pageBytes);
}

function isIn(address: number, { start, end }: Range): boolean {
  return address >= start && address < end;
}

/** Whether the page at `address` is `page`. */
function equal(bytes: Uint8Array, address: number, page: Uint8Array): boolean {
  return Buffer.prototype.compare.call(bytes, page, 0, pageBytes, address, address + pageBytes) === 0;
}
