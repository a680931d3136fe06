/**
 * The addresses that belong to one session each: all that it allocates after its fork lies there.
 *
 * Owns: which part of the memory behind the heap of the fork is whose, and what `sbrk` answers. Does not own: what malloc makes of it.
 * Why: nobody else has these addresses, so what lies there need not be saved, compared or loaded when another session runs.
 * How: a window is a list of extents, in whole units. It grows where it ends if it can, else by a further extent; malloc
 * takes a break that has moved for a further segment of its heap. A window is given back as a whole when its session ends.
 * Invariant: extents of different windows do not overlap. What is free is clear, in ascending order, in as few pieces as can be.
 */
import assert from "node:assert/strict";
import type { Range } from "./private-memory.ts";

/** In what addresses are handed out, in bytes. */
export const unitBytes = 1 << 16;

/** What a session gets at first: about what its login takes. */
const firstBytes = 16 * unitBytes;
/** What it gets later, as a part of what it has. */
const growth = 1 / 4;
/** A window up to this size may take the last of the memory, so that a large one keeps nobody out. */
const smallBytes = 8 << 20;
/** What only small windows may take. */
const reservedBytes = 192 << 20;

/** The increment that `sbrk` fails with: behind any break it is beyond all addresses. */
export const refused = -8;

/** What belongs to one session; see the head of the file. */
export class Window {
  /** The break is in the last one. */
  readonly extents: { start: number; end: number }[] = [];
  isClosed = false;

  /** How many bytes belong to it. */
  get size(): number {
    return this.extents.reduce((sum, { start, end }) => sum + end - start, 0);
  }
}

/** What the windows are of; addresses in bytes. */
interface WindowMemory {
  /** Whether the memory has, or has been made to have, so many bytes. */
  ensure(bytes: number): boolean;
  /** Fills it with zeros. */
  clear(start: number, length: number): void;
  /** C's program break, of the session that is loaded. */
  programBreak: number;
}

/** See the head of the file. */
export class Windows {
  readonly #memory: WindowMemory;
  /** From where on nothing is handed out, and where addresses end. */
  #end: number;
  readonly #limit: number;
  #free: Range[] = [];
  #freeBytes = 0;

  /** Of the addresses from `start` to before `limit`. */
  constructor(memory: WindowMemory, start: number, limit: number) {
    this.#memory = memory;
    this.#end = whole(start);
    this.#limit = limit;
  }

  /** How many bytes could be handed out. */
  get available(): number {
    return this.#limit - this.#end + this.#freeBytes;
  }

  /** Gives a window the extents that it had in another machine. Nothing else has been handed out, and they follow each other. */
  adopt(window: Window, extents: readonly Range[]): void {
    for (const { start, end } of extents) {
      assert(start === this.#end && this.#takeAt(start, end - start), "extents are where they were");
      window.extents.push({ start, end });
    }
  }

  /** The hook of `sbrk` in the loaded session, whose window it is: what it goes on with. The break may be another one then. */
  sbrk(window: Window, increment: number): number {
    // As libc rounds it.
    const bytes = (increment + 7) & -8;
    if (increment < 0 || bytes < 0) return refused;
    if (bytes === 0) return increment;
    const last = window.extents.at(-1);
    const start = this.#memory.programBreak;
    assert(!last || (start >= last.start && start <= last.end), "the break is in the window's last extent");
    if (last && start + bytes <= last.end) return increment;
    if (window.isClosed) return refused;
    if (last && this.#extend(window, last, start + bytes - last.end)) return increment;
    const extent = this.#take(window, whole(bytes));
    if (!extent) return refused;
    if (last) this.#trim(last, start);
    window.extents.push(extent);
    this.#memory.programBreak = extent.start;
    return increment;
  }

  /** Takes all that belongs to a window, whose session is loaded and has ended. */
  close(window: Window): void {
    assert(!window.isClosed, "a window is closed once");
    window.isClosed = true;
    const used = this.#memory.programBreak;
    const last = window.extents.at(-1);
    assert(!last || (used >= last.start && used <= last.end), "the break is in the last extent of whoever ends");
    for (const extent of window.extents.splice(0)) {
      const { start, end } = extent;
      this.#memory.clear(start, (extent === last ? used : end) - start);
      this.#release(extent);
    }
  }

  /** As `close`, for a session that is not loaded and will not be any more. */
  forget(window: Window): void {
    if (window.isClosed) return;
    window.isClosed = true;
    this.restore(window, []);
  }

  /** Takes what a window was given since it had these extents, and leaves it with them; what lies there is up to the caller. */
  restore(window: Window, extents: readonly Range[]): void {
    for (const extent of window.extents.splice(0)) {
      const kept = extents.find(({ start }) => start === extent.start);
      assert(!kept || kept.end <= extent.end, "an extent has not been cut off since");
      const rest = { start: kept?.end ?? extent.start, end: extent.end };
      if (rest.start === rest.end) continue;
      this.#memory.clear(rest.start, rest.end - rest.start);
      this.#release(rest);
    }
    window.extents.push(...extents.map(({ start, end }) => ({ start, end })));
  }

  /** Has an extent end further behind, by what it needs or, if that can be, by what is usual. */
  #extend(window: Window, last: { end: number }, missing: number): boolean {
    const least = whole(missing);
    for (const bytes of [Math.max(least, step(window)), least]) {
      if (!this.#mayTake(window, bytes) || !this.#takeAt(last.end, bytes)) continue;
      last.end += bytes;
      return true;
    }
    return false;
  }

  /** An extent of at least so many bytes; undefined if there is none, or not for this window. */
  #take(window: Window, least: number): { start: number; end: number } | undefined {
    for (const bytes of [Math.max(least, step(window)), least]) {
      if (!this.#mayTake(window, bytes)) continue;
      const start = this.#free.find((range) => range.end - range.start >= bytes)?.start ?? this.#end;
      if (this.#takeAt(start, bytes)) return { start, end: start + bytes };
    }
    return undefined;
  }

  #mayTake(window: Window, bytes: number): boolean {
    const left = this.available - bytes;
    return left >= (window.size + bytes <= smallBytes ? 0 : reservedBytes);
  }

  /** Takes the addresses from `start` on if they are free. */
  #takeAt(start: number, bytes: number): boolean {
    if (start === this.#end) {
      if (start + bytes > this.#limit || !this.#memory.ensure(start + bytes)) return false;
      this.#end += bytes;
      return true;
    }
    const at = this.#free.findIndex((range) => range.start === start);
    const found = this.#free[at];
    if (!found || found.end - start < bytes) return false;
    const rest = { start: start + bytes, end: found.end };
    this.#free.splice(at, 1, ...(rest.start < rest.end ? [rest] : []));
    this.#freeBytes -= bytes;
    return true;
  }

  /** Gives back what an extent has behind the break, where the break will never come to. */
  #trim(extent: { end: number }, used: number): void {
    const end = whole(used);
    if (end >= extent.end) return;
    const rest = { start: end, end: extent.end };
    extent.end = end;
    this.#release(rest);
  }

  /** What is given back is clear. */
  #release(extent: Range): void {
    let { start, end } = extent;
    this.#freeBytes += end - start;
    const at = this.#free.findIndex((range) => range.start >= end);
    const next = at < 0 ? this.#free.length : at;
    assert(end <= this.#end, "what is given back was handed out");
    const [before, after] = [this.#free[next - 1], this.#free[next]];
    assert(!before || before.end <= start, "what is given back was handed out");
    const joinsBefore = before?.end === start;
    const joinsAfter = after?.start === end;
    if (joinsBefore) start = before.start;
    if (joinsAfter) end = after.end;
    if (end === this.#end) {
      this.#freeBytes -= end - start;
      this.#end = start;
      this.#free.splice(next - (joinsBefore ? 1 : 0));
      return;
    }
    this.#free.splice(next - (joinsBefore ? 1 : 0), (joinsBefore ? 1 : 0) + (joinsAfter ? 1 : 0), { start, end });
  }
}

/** What a window gets when it needs more. */
function step(window: Window): number {
  return window.extents.length === 0 ? firstBytes : whole(window.size * growth);
}

function whole(bytes: number): number {
  return Math.ceil(bytes / unitBytes) * unitBytes;
}
