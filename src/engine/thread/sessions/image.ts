/**
 * A session's private memory while another session is loaded.
 *
 * Owns: saving and loading it, page by page. Does not own: when (`scheduler.ts`), where it lies (`private-memory.ts`).
 * How: most pages of a session are the same as those of a session that has just been started, the reference. An image keeps
 * only the others. So an idle session is small, and loading it writes only pages that differ from the reference in the
 * session that goes or in the one that comes.
 * Invariant: all images of an engine are kept against the same reference.
 */
import type { Machine } from "./machine.ts";
import { type MemoryMap, pageBytes, privateRanges, programBreak } from "./private-memory.ts";

/** So many bytes are compared at once before it is looked which page differs. */
const blockBytes = 16 * pageBytes;

/** After so many saves it is looked whether kept pages have become like the reference again. */
const savesUntilReview = 64;

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

/** An image. */
export class Image {
  #stack = 0;
  #break = 0;
  /** Addresses of the kept pages, ascending, and their contents in that order. */
  #addresses: number[] = [];
  #pages = new Uint8Array(0);
  #saves = 0;

  /** How many bytes the image holds. */
  get size(): number {
    return this.#addresses.length * pageBytes;
  }

  /** An image with the same contents. */
  copy(): Image {
    const copy = new Image();
    copy.#stack = this.#stack;
    copy.#break = this.#break;
    copy.#addresses = this.#addresses.slice();
    copy.#pages = this.#pages.slice(0, this.size);
    return copy;
  }

  /** Takes the memory of the loaded session. What it had to keep before it keeps again: most of it has changed again. */
  save(machine: Machine, map: MemoryMap, reference: Reference): void {
    const { bytes } = machine;
    this.#stack = stackOf(machine);
    this.#break = programBreak(machine);
    const kept = ++this.#saves % savesUntilReview === 0 ? [] : this.#addresses;
    this.#addresses = [];
    let next = 0;
    for (const { start, end } of privateRanges(map, this.#stack, this.#break)) {
      for (let at = start; at < end; ) {
        while (kept[next]! < at) next++;
        const known = kept[next] ?? end;
        if (known === at) {
          this.#addresses.push(at);
          at += pageBytes;
          continue;
        }
        const length = Math.min(blockBytes, end - at, known - at);
        const base = reference.at(at, length);
        if (base.length !== length || !equal(bytes, at, base, length)) this.#findPages(bytes, at, length, base);
        at += length;
      }
    }
    this.#takePages(bytes);
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
    const { length } = this.#addresses;
    for (let first = 0; first < length; ) {
      const start = this.#addresses[first]!;
      let after = first + 1;
      while (after < length && this.#addresses[after] === start + (after - first) * pageBytes) after++;
      bytes.set(this.#pages.subarray(first * pageBytes, after * pageBytes), start);
      first = after;
    }
    machine.function("_emscripten_stack_restore")(this.#stack);
  }

  #findPages(bytes: Uint8Array, at: number, length: number, base: Uint8Array): void {
    for (let offset = 0; offset < length; offset += pageBytes) {
      const known = base.length >= offset + pageBytes;
      if (known && equal(bytes, at + offset, base.subarray(offset, offset + pageBytes), pageBytes)) continue;
      this.#addresses.push(at + offset);
    }
  }

  #takePages(bytes: Uint8Array): void {
    const { size } = this;
    // Room to grow, but not the room of a large transaction long past.
    if (this.#pages.length < size || this.#pages.length > 4 * size + blockBytes) {
      this.#pages = new Uint8Array(Math.ceil(size * 1.25));
    }
    const { length } = this.#addresses;
    for (let first = 0; first < length; ) {
      const start = this.#addresses[first]!;
      let after = first + 1;
      while (after < length && this.#addresses[after] === start + (after - first) * pageBytes) after++;
      this.#pages.set(bytes.subarray(start, start + (after - first) * pageBytes), first * pageBytes);
      first = after;
    }
  }
}

/** The same image against another reference. The machine's memory is overwritten. */
export function rebase(image: Image, from: Reference, to: Reference, machine: Machine, map: MemoryMap): void {
  image.load(machine, from, image);
  image.save(machine, map, to);
}

function stackOf(machine: Machine): number {
  return machine.function("emscripten_stack_get_current")();
}

/** Whether `length` bytes at `at` are those of `other`. */
function equal(bytes: Uint8Array, at: number, other: Uint8Array, length: number): boolean {
  return Buffer.prototype.compare.call(bytes, other, 0, length, at, at + length) === 0;
}
