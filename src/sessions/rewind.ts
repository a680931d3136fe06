/**
 * What a whole server in memory was at one moment, and bringing it back in place.
 *
 * Owns: what belongs to it: shared memory, the memory and the streams of the process itself, the files. Does not own: that nobody runs
 * meanwhile, the processes that have to be started anew (`host.ts`).
 * How: an undo. Of shared memory, which pages have been written to since is known by their marks; files share their contents with what is
 * kept until they change. So both cost what has changed, not what there is.
 * Invariant: taken and brought back in a turn of the process itself, when no other process of PostgreSQL exists: there is no stack that
 * knows of what has been undone, and nobody's memory but that of the process itself refers to shared memory.
 */
import assert from "node:assert/strict";
import type { FilesMark } from "../cluster/files-mark.ts";
import { limits } from "../limits.ts";
import type { Block } from "./blocks.ts";
import type { BootedPostgres } from "./boot.ts";
import type { FileDescriptors } from "./file-descriptors.ts";
import type { Granules } from "./granules.ts";
import type { Image } from "./image.ts";
import type { Machine } from "./machine.ts";
import type { Range } from "./private-memory.ts";
import type { SessionState } from "./session-context.ts";
import { markedPageBytes as pageBytes } from "./write-marks.ts";

const zeros = Buffer.alloc(pageBytes);
/** In what the store is asked for room. */
const blockBytes = 1 << 20;

/** See the head of the file. */
export interface Mark {
  /** Whether the configuration files had been read again since the postmaster's image was taken. */
  readonly hasReloaded: boolean;
  readonly pages: KeptPages;
  readonly files: FilesMark;
  readonly image: Image;
  readonly streams: FileDescriptors;
  readonly window: readonly { readonly start: number; readonly end: number; readonly bytes: Uint8Array }[];
}

/** The marks of one server. */
export class Rewinding {
  /** For tests: whether all memory and all files are compared behind each rewind. */
  isChecked = false;
  /** How many bytes of shared memory all marks may have together; sessions need the rest of the store. */
  mostBytes = limits.marksBytes;
  readonly #booted: BootedPostgres;
  readonly #own: SessionState;
  readonly #marks = new Set<Mark>();

  /** `own` is the process itself. */
  constructor(booted: BootedPostgres, own: SessionState) {
    this.#booted = booted;
    this.#own = own;
  }

  /** Whether the server can be brought back: not in a directory, whose files would have to be copied. */
  get isPossible(): boolean {
    return this.#booted.copying.mark !== undefined;
  }

  /** Why not all of the server could be brought back now; a sentence. */
  get obstacle(): string | undefined {
    return this.#booted.copying.obstacle?.();
  }

  /** Takes a mark, in a turn of the process itself. Returns undefined, and changes nothing, if there is no room. */
  take(hasReloaded: boolean): Mark | undefined {
    const { machine, map, copying, window, postmaster } = this.#booted;
    const { granules } = postmaster.template;
    assert(copying.mark, "a directory has no marks");
    this.#noteWritten();
    const room = this.mostBytes - [...this.#marks].reduce((sum, mark) => sum + mark.pages.bytes, 0);
    const pages = KeptPages.of(machine, { ranges: sharedRanges(map), granules, room });
    if (!pages) return undefined;
    const { image, files } = this.#own;
    image.save(machine);
    files.save();
    const mark = {
      hasReloaded,
      pages,
      files: copying.mark(),
      image: image.copy(),
      streams: files.fork(),
      window: window.extents.map(({ start, end }) => ({ start, end, bytes: machine.bytes.slice(start, end) })),
    };
    this.#marks.add(mark);
    return mark;
  }

  /** Brings the server back to a mark, in a turn of the process itself. */
  rewind(mark: Mark): void {
    assert(this.#marks.has(mark), "a mark is that of this server");
    const { machine, windows, window } = this.#booted;
    const { image, files } = this.#own;
    this.#noteWritten();
    mark.pages.noteIn([...this.#marks].map(({ pages }) => pages));
    mark.pages.restore();
    image.save(machine);
    image.become(mark.image);
    image.load(machine);
    windows.restore(window, mark.window);
    for (const { start, bytes } of mark.window) machine.bytes.set(bytes, start);
    files.closeAll();
    files.become(mark.streams);
    mark.files.restore();
    if (this.isChecked) this.#check(mark);
  }

  /** Gives up a mark. */
  release(mark: Mark): void {
    if (!this.#marks.delete(mark)) return;
    mark.pages.release();
    mark.files.release();
    mark.image.forget();
    mark.streams.closeWhileAway();
  }

  /** What has been written to since marks were looked at last differs from what each mark has. */
  #noteWritten(): void {
    const { written } = this.#booted.machine;
    for (const range of sharedRanges(this.#booted.map)) {
      written.takePages(range, (address) => {
        for (const { pages } of this.#marks) pages.note(address);
      });
    }
  }

  #check(mark: Mark): void {
    const { bytes } = this.#booted.machine;
    const pages = mark.pages.isSame ? [] : ["shared memory"];
    const wrong = [...pages, ...mark.files.differences(), ...mark.image.overlooked().map(String)];
    for (const { start, bytes: kept } of mark.window) {
      if (Buffer.compare(bytes.subarray(start, start + kept.length), kept) !== 0) wrong.push("the process itself");
    }
    if (wrong.length > 0) throw new Error(`the server is not as it was: ${wrong.slice(0, 20).join(", ")}`);
  }
}

/** What is the same for all processes, and belongs to no image. */
function sharedRanges(map: BootedPostgres["map"]): Range[] {
  return [
    { start: map.sharedStart, end: map.sharedEnd },
    { start: map.controlStart, end: map.controlEnd },
  ];
}

/** Some ranges of memory as they were; pages that were zeros take nothing. */
class KeptPages {
  readonly #machine: Machine;
  readonly #granules: Granules;
  readonly #ranges: readonly Range[];
  readonly #first: number;
  /** By page, counted from the first: its place in the store; 0 for zeros. */
  readonly #places: Uint32Array;
  /** By page: 1 for one that may not be as it was. */
  readonly #noted: Uint8Array;
  readonly #blocks: Block[] = [];
  /** How much of the last block is used. */
  #used = blockBytes;

  /** `ranges` as they are now. Undefined when that takes more than `room`, in bytes, or than there is memory for. */
  static of(
    machine: Machine,
    { ranges, granules, room }: { ranges: readonly Range[]; granules: Granules; room: number },
  ): KeptPages | undefined {
    const kept = new KeptPages(machine, ranges, granules);
    if (kept.#findPlaces(room)) {
      kept.#forRuns(
        () => true,
        (address, place, length) => place > 0 && granules.code.copyOut(place, address, length),
      );
      return kept;
    }
    kept.release();
    return undefined;
  }

  private constructor(machine: Machine, ranges: readonly Range[], granules: Granules) {
    this.#machine = machine;
    this.#granules = granules;
    this.#ranges = ranges;
    this.#first = Math.min(...ranges.map(({ start }) => start));
    const pages = (Math.max(...ranges.map(({ end }) => end)) - this.#first) / pageBytes;
    this.#places = new Uint32Array(pages);
    this.#noted = new Uint8Array(pages);
  }

  /** How much of the store it has. */
  get bytes(): number {
    return this.#blocks.length * blockBytes;
  }

  /** Finds a place for each page that is not zeros. Returns false if there is no room. */
  #findPlaces(room: number): boolean {
    try {
      for (const range of this.#ranges) {
        for (let address = range.start; address < range.end; address += pageBytes) {
          if (this.#isClear(address, address + pageBytes)) continue;
          this.#places[this.#pageAt(address)] = this.#nextPlace();
          if (this.bytes > room) return false;
        }
      }
      return true;
    } catch (error) {
      if (error instanceof RangeError) return false;
      throw error;
    }
  }

  /** A page may not be as it was. */
  note(address: number): void {
    this.#noted[this.#pageAt(address)] = 1;
  }

  /** Puts back what may not be as it was. */
  restore(): void {
    const { code } = this.#granules;
    this.#forRuns(
      (page) => this.#noted[page] === 1,
      (address, place, length) => {
        if (place > 0) code.copyIn(address, place, length);
        else code.clear(address, length);
      },
    );
    this.#noted.fill(0);
  }

  /** Others than this one may not be as they were where this one is about to be put back. */
  noteIn(others: Iterable<KeptPages>): void {
    for (const other of others) {
      if (other === this) continue;
      for (let page = 0; page < this.#noted.length; page++) other.#noted[page]! |= this.#noted[page]!;
    }
  }

  /** Whether all of it is as it was. */
  get isSame(): boolean {
    const { code } = this.#granules;
    let isSame = true;
    this.#forRuns(
      () => true,
      (address, place, length) => {
        const end = address + length;
        if (place > 0) isSame &&= code.sameUntil(address, place, end) >= end;
        else isSame &&= this.#isClear(address, end);
      },
    );
    return isSame;
  }

  release(): void {
    for (const block of this.#blocks.splice(0)) this.#granules.blocks.release(block);
  }

  #isClear(address: number, end: number): boolean {
    const memory = Buffer.from(this.#machine.bytes.buffer);
    for (let at = address; at < end; at += pageBytes) {
      if (memory.compare(zeros, 0, pageBytes, at, at + pageBytes) !== 0) return false;
    }
    return true;
  }

  #pageAt(address: number): number {
    return (address - this.#first) / pageBytes;
  }

  #nextPlace(): number {
    if (this.#used === blockBytes) {
      this.#blocks.push(this.#granules.blocks.take(blockBytes));
      this.#used = 0;
    }
    const place = this.#blocks.at(-1)!.at + this.#used;
    this.#used += pageBytes;
    return place;
  }

  /** Visits pages that follow each other, in memory and in the store, together. */
  #forRuns(isWanted: (page: number) => boolean, visit: (address: number, place: number, length: number) => void): void {
    for (const { start, end } of this.#ranges) {
      const last = this.#pageAt(end);
      for (let page = this.#pageAt(start); page < last; ) {
        if (!isWanted(page)) {
          page++;
          continue;
        }
        const [first, place] = [page, this.#places[page]!];
        do page++;
        while (page < last && isWanted(page) && this.#places[page] === (place && place + (page - first) * pageBytes));
        visit(this.#first + first * pageBytes, place, (page - first) * pageBytes);
      }
    }
  }
}
