/**
 * The memory that all sessions have at the same addresses: static data, and the heap as it was when they were forked.
 *
 * Owns: the template, which is that memory at the fork; which granules are hot, that is, have ever differed from it; which
 * contents are in memory. Does not own: a session's stack and when it is loaded (`image.ts`), the copying (`granule-code.ts`).
 * How: a slot has a session's bytes of each hot granule, and the number of that content. Equal numbers are equal bytes, so
 * loading writes those granules only whose number in the slot is not that in memory. 0 is the template's content; every
 * `save` gives what it takes a number of its own. A slot that was last used when there were fewer hot granules has the
 * template's bytes of the others, and gets them when it is used again.
 * Invariant: what is not hot is as in the template, or has a mark.
 */
import assert from "node:assert/strict";
import { type Block, Blocks } from "./blocks.ts";
import { type GranuleCode, granuleBytes, granuleCode, type StoreLayout, storePages } from "./granule-code.ts";
import type { Machine } from "./machine.ts";
import { commonRanges, type MemoryMap, type Range } from "./private-memory.ts";
import { original } from "./shared-memory.ts";
import { type WasmMemory, webAssembly } from "./wasm/web-assembly.ts";

const wordBytes = 4;
const storePageBytes = 1 << 16;
/** What `load` compares at once, in contents' numbers. */
const contentsAtOnce = 4;
/** The granules that a slot has room for at first. */
const firstCapacity = 256;
/** A content that no slot has, and the first number that is not given to any. */
const unknownContent = 0xffff_ffff;

/** What is kept of one session's granules. */
export class Slot {
  block: Block | undefined;
  capacity = 0;
  /** How many of the hot granules it has; of the others it has the template's content. */
  count = 0;
}

/** A range of common memory, whose template lies `toTemplate` behind it in the store. */
interface CommonRange extends Range {
  readonly toTemplate: number;
}

/** See the head of the file. */
export class Granules {
  readonly code: GranuleCode;
  readonly blocks: Blocks;
  readonly #machine: Machine;
  readonly #store: WasmMemory;
  readonly #layout: StoreLayout;
  readonly #ranges: CommonRange[];
  /** Granules that another thread writes to, at any time. */
  readonly #always: readonly number[];
  /** Where common memory may be added. */
  readonly #later: CommonRange;
  readonly #slots = new Set<Slot>();
  #hot = 0;
  #lastNumber: number;
  #words: Uint32Array = new Uint32Array(0);

  /** Makes the memory as it is now the template; what is in `later` may be added by `adopt`. `lastNumber` is for tests. */
  constructor(machine: Machine, map: MemoryMap, always: readonly number[], lastNumber = 0, later = nothingLater(map)) {
    this.#machine = machine;
    this.#lastNumber = lastNumber;
    const ranges = commonRanges(map);
    const layout = layOut(ranges, later);
    this.#layout = layout;
    this.#ranges = layout.ranges;
    this.#later = layout.later;
    this.#store = new webAssembly.Memory({ initial: Math.ceil(layout.end / storePageBytes), maximum: storePages });
    this.blocks = new Blocks(this.#store, layout.end);
    const host = { store: this.#store, postgres: machine.memory, marks: machine.written.memory };
    const instance = new original.Instance(new original.Module(granuleCode(layout)), { host });
    this.code = instance.exports as unknown as GranuleCode;
    for (const { start, end, toTemplate } of this.#ranges) this.code.copyOut(start + toTemplate, start, end - start);
    machine.written.clear(this.#ranges);
    this.#always = always.map((address) => address - (address % granuleBytes));
    for (const address of this.#always) this.#makeHot(address);
    this.#markAlways();
  }

  /** How many granules are hot. */
  get hot(): number {
    return this.#hot;
  }

  /** A part of what may be added, page by page and in ascending order, is common memory from now on, and the template as it is. */
  adopt({ start, end }: Range): void {
    const { toTemplate } = this.#later;
    assert(start >= this.#later.start && end <= this.#later.end, "only what was laid out is added");
    this.code.copyOut(start + toTemplate, start, end - start);
    const last = this.#ranges.at(-1)!;
    if (last.toTemplate === toTemplate && last.end === start) this.#ranges.pop();
    const first = last.toTemplate === toTemplate && last.end === start ? last.start : start;
    this.#ranges.push({ start: first, end, toTemplate });
  }

  /** Takes what the loaded session, whose slot it is, has written to. */
  save(slot: Slot): void {
    const { written } = this.#machine;
    written.settleUnknown(this.#ranges);
    this.#extend(slot, this.#hot);
    const number = this.#nextNumber();
    const contents = contentsOf(slot);
    let found = 0;
    for (const { start, end, toTemplate } of this.#ranges) {
      const [first, last] = [start / granuleBytes, end / granuleBytes];
      found = this.code.save(first, last, toTemplate, slot.block!.at, contents, number, found);
    }
    if (found > 0) this.#addFound(slot, number, found);
    this.#markAlways();
  }

  /** Puts a session's granules into memory. Answers how many had to be written. */
  load(slot: Slot): number {
    this.#extend(slot, this.#hot);
    // What another thread may have written to since it was saved is not what its number says.
    for (const address of this.#always) this.#setInMemory(this.#hotNumber(address), unknownContent);
    return this.code.load(this.#hot, slot.block!.at, contentsOf(slot));
  }

  /** The template's bytes of a range of common memory; they lie in the store, and must not be written to. */
  templateOf({ start, end }: Range): Uint8Array {
    const range = this.#ranges.find((common) => common.start === start && common.end === end);
    assert(range, "the template is that of common memory");
    return new Uint8Array(this.#store.buffer, start + range.toTemplate, end - start);
  }

  /** The granules of common memory that are not as in the template. */
  changed(): number[] {
    const found: number[] = [];
    for (const { start, end, toTemplate } of this.#ranges) {
      const next = (from: number) => this.code.sameUntil(from, from + toTemplate, end);
      for (let address = next(start); address < end; address = next(address + granuleBytes)) found.push(address);
    }
    return found;
  }

  /** Another slot with the same contents. */
  copy(slot: Slot): Slot {
    const copy = new Slot();
    if (!slot.block) return copy;
    copy.block = this.blocks.take(slot.block.bytes);
    this.code.copyWithin(copy.block.at, slot.block.at, slot.block.bytes);
    copy.capacity = slot.capacity;
    copy.count = slot.count;
    this.#slots.add(copy);
    return copy;
  }

  /** Gives up what is kept of a session. */
  release(slot: Slot): void {
    this.#slots.delete(slot);
    if (slot.block) this.blocks.release(slot.block);
    slot.block = undefined;
    slot.capacity = 0;
    slot.count = 0;
  }

  /** For tests: the granules of the loaded session that `save` would not take although they are not as they are kept. */
  overlooked(slot: Slot): number[] {
    const { written } = this.#machine;
    if (written.isUnknown) return [];
    const wrong: number[] = [];
    const isMissed = (address: number) => !written.covers(address);
    for (const address of this.changed()) if (this.#hotNumber(address) < 0 && isMissed(address)) wrong.push(address);
    for (let hot = 0; hot < this.#hot; hot++) {
      const address = this.#word(this.#layout.table + 2 * hot * wordBytes);
      const isKept = hot < slot.count;
      const template = this.#word(this.#layout.table + (2 * hot + 1) * wordBytes);
      const place = isKept ? slot.block!.at + hot * granuleBytes : template;
      const content = isKept ? this.#word(contentsOf(slot) + hot * wordBytes) : 0;
      const isNumbered = content === this.#word(this.#layout.inMemory + hot * wordBytes);
      const isSame = this.code.sameUntil(address, place, address + granuleBytes) > address;
      if (!(isSame && isNumbered) && isMissed(address)) wrong.push(address);
    }
    return wrong.sort((one, other) => one - other);
  }

  /** The slot has `count` granules from now on; those that are new to it have the template's bytes. */
  #extend(slot: Slot, count: number): void {
    if (slot.block && slot.count >= count) return;
    if (!slot.block || slot.capacity < count) this.#enlarge(slot, count);
    this.code.extend(slot.block!.at, slot.count, count);
    slot.count = count;
  }

  #enlarge(slot: Slot, count: number): void {
    let capacity = Math.max(slot.capacity, firstCapacity);
    while (capacity < count) capacity *= 2;
    const bytes = capacity * (granuleBytes + wordBytes);
    const block = this.blocks.take(bytes);
    const before = contentsOf(slot);
    const contents = block.at + capacity * granuleBytes;
    this.#storeWords().fill(0, contents / wordBytes, contents / wordBytes + capacity);
    if (slot.block) {
      this.code.copyWithin(block.at, slot.block.at, slot.count * granuleBytes);
      this.code.copyWithin(contents, before, slot.count * wordBytes);
      this.blocks.release(slot.block);
    }
    slot.block = block;
    slot.capacity = capacity;
    this.#slots.add(slot);
  }

  /** What `save` has found becomes hot, and is kept in the slot as it is in memory. */
  #addFound(slot: Slot, number: number, found: number): void {
    const granules = this.#storeWords().slice(this.#layout.found / wordBytes, this.#layout.found / wordBytes + found);
    const first = this.#hot;
    for (const granule of granules) this.#makeHot(granule * granuleBytes);
    this.#extend(slot, this.#hot);
    const words = this.#storeWords();
    for (const [index, granule] of granules.entries()) {
      const hot = first + index;
      this.code.copyOut(slot.block!.at + hot * granuleBytes, granule * granuleBytes, granuleBytes);
      words[contentsOf(slot) / wordBytes + hot] = number;
      this.#setInMemory(hot, number);
    }
  }

  #makeHot(address: number): void {
    const range = this.#ranges.find(({ start, end }) => address >= start && address < end);
    assert(range, "only a granule of common memory becomes hot");
    assert(this.#hotNumber(address) < 0, "a granule becomes hot once");
    const words = this.#storeWords();
    const hot = this.#hot++;
    words[this.#layout.map / wordBytes + address / granuleBytes] = hot + 1;
    words[this.#layout.table / wordBytes + 2 * hot] = address;
    words[this.#layout.table / wordBytes + 2 * hot + 1] = address + range.toTemplate;
  }

  /** Its number among the hot granules; negative if it is none. */
  #hotNumber(address: number): number {
    return (this.#word(this.#layout.map + (address / granuleBytes) * wordBytes) | 0) - 1;
  }

  #setInMemory(hot: number, content: number): void {
    this.#storeWords()[this.#layout.inMemory / wordBytes + hot] = content;
  }

  #markAlways(): void {
    for (const address of this.#always) this.#machine.written.add(address, 1);
  }

  #nextNumber(): number {
    if (this.#lastNumber + 1 === unknownContent) this.#renumber();
    return ++this.#lastNumber;
  }

  /** Gives the contents numbers from 1 on: equal ones to those that are equal. */
  #renumber(): void {
    const words = this.#storeWords();
    const renumbered = new Map([
      [0, 0],
      [unknownContent, unknownContent],
    ]);
    const starts = [this.#layout.inMemory, ...[...this.#slots].map(contentsOf)];
    const counts = [this.#hot, ...[...this.#slots].map(({ count }) => count)];
    this.#lastNumber = 0;
    for (const [index, start] of starts.entries()) {
      for (let at = start / wordBytes; at < start / wordBytes + counts[index]!; at++) {
        const old = words[at]!;
        if (!renumbered.has(old)) renumbered.set(old, ++this.#lastNumber);
        words[at] = renumbered.get(old)!;
      }
    }
    assert(this.#lastNumber + 1 < unknownContent, "there are more numbers than contents");
  }

  #word(place: number): number {
    return this.#storeWords()[place / wordBytes]!;
  }

  /** The store as words: another view whenever it has grown. */
  #storeWords(): Uint32Array {
    const { buffer } = this.#store;
    if (this.#words.buffer !== buffer) this.#words = new Uint32Array(buffer);
    return this.#words;
  }
}

/** Where the numbers of a slot's contents are. */
function contentsOf(slot: Slot): number {
  return slot.block ? slot.block.at + slot.capacity * granuleBytes : 0;
}

function nothingLater({ heapEnd }: MemoryMap): Range {
  return { start: heapEnd, end: heapEnd };
}

/** Places for tables that have room for all granules, and for the template. What is not used of them costs nothing. */
function layOut(
  ranges: readonly Range[],
  later: Range,
): StoreLayout & { ranges: CommonRange[]; later: CommonRange; end: number } {
  const highest = Math.max(...ranges.map(({ end }) => end), later.end);
  const granules = [...ranges, later].reduce((sum, { start, end }) => sum + (end - start) / granuleBytes, 0);
  let end = storePageBytes;
  const place = (bytes: number): number => {
    const at = end;
    end += Math.ceil(bytes / storePageBytes) * storePageBytes;
    return at;
  };
  const tables = {
    map: place((highest / granuleBytes) * wordBytes),
    table: place(granules * 2 * wordBytes),
    inMemory: place((granules + contentsAtOnce) * wordBytes),
    found: place(granules * wordBytes),
  };
  const withTemplate = (range: Range) => ({ ...range, toTemplate: place(range.end - range.start) - range.start });
  return { ...tables, ranges: ranges.map(withTemplate), later: withTemplate(later), end };
}
