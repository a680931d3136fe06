/**
 * The contents of a file in memory: chunks, which copies of the file share until one of them changes.
 *
 * Owns: the chunks, who shares them, and giving their memory back. Does not own: names and open files (`memory-nodes.ts`).
 * Invariant: a chunk that has several owners is never written to; what is behind a file's end is zeros, as in any file
 * system; a chunk that nobody has any more is given back at once, without waiting for the collection of garbage, which a thread
 * that sleeps in between does not come to.
 */

import { memoryBudget } from "./memory-budget.ts";

/** PostgreSQL's blocks never lie across two chunks. It is what the first write into a shared part of a file copies. */
const chunkBytes = 2 ** 18;
/** The chunks before this one grow with the file, since most files are small; the others are made whole. */
const firstWhole = 4;

/** A part of a file. What it lacks at its end is zeros. */
interface Chunk {
  bytes: Uint8Array<ArrayBuffer>;
  owners: number;
}

/** How contents are read. What they lack at their end is zeros. */
interface ContentsReader {
  /** All of it. */
  readonly read: () => Uint8Array;
  /** What lies from one place to another, in memory of its own; absent where nothing can be read alone. */
  readonly readPart?: (from: number, to: number) => Uint8Array<ArrayBuffer>;
}

/** What has not been read yet, and by whom it would be. */
interface Unread extends ContentsReader {
  readonly owners: Set<FileContents>;
  /** The chunks that nobody has needed yet. Who writes one WAL record needs one of a segment's 64. */
  readonly pending: Set<number>;
  readonly chunks: number;
}

/** See the head of the file. */
export class FileContents {
  #size = 0;
  /** One that is absent is zeros. */
  #chunks: (Chunk | undefined)[] = [];
  #unread: Unread | undefined;

  /** Contents that are read when they are first needed. */
  static unread(size: number, { read, readPart }: ContentsReader): FileContents {
    const contents = new FileContents();
    contents.#size = size;
    const chunks = Math.ceil(size / chunkBytes);
    const pending = new Set(Array.from({ length: chunks }, (_, index) => index));
    const owners = new Set([contents]);
    contents.#unread = { read, ...(readPart && chunks > 1 ? { readPart } : {}), owners, pending, chunks };
    return contents;
  }

  get size(): number {
    return this.#size;
  }

  /** How they are read, if nobody has needed them, or written to them, yet. */
  get unreadBy(): (() => Uint8Array) | undefined {
    const { pending, chunks, read } = this.#unread ?? {};
    return pending?.size === chunks && this.#chunks.length === 0 ? read : undefined;
  }

  /** How many bytes of memory it takes; those that several share are divided among them. */
  get takenBytes(): number {
    return this.#chunks.reduce((sum, chunk) => sum + (chunk ? chunk.bytes.length / chunk.owners : 0), 0);
  }

  /** The same contents once more; nothing is copied or read. */
  clone(): FileContents {
    const copy = new FileContents();
    copy.#size = this.#size;
    copy.#unread = this.#unread;
    copy.#unread?.owners.add(copy);
    copy.#chunks = this.#chunks.slice();
    for (const chunk of this.#chunks) if (chunk) chunk.owners++;
    return copy;
  }

  /** Whether both have the same and share all of it. */
  isSharedWith(other: FileContents): boolean {
    if (this.#size !== other.#size || this.#unread !== other.#unread) return false;
    const [mine, others] = [this.#chunks, other.#chunks];
    if (mine.length !== others.length) return false;
    for (let index = 0; index < mine.length; index++) if (mine[index] !== others[index]) return false;
    return true;
  }

  /** These contents again, as `clone` has kept them; only what differs is exchanged. */
  become(kept: FileContents): void {
    if (this.#unread !== kept.#unread) {
      this.#unread?.owners.delete(this);
      this.#unread = kept.#unread;
      this.#unread?.owners.add(this);
    }
    const count = Math.max(this.#chunks.length, kept.#chunks.length);
    for (let index = 0; index < count; index++) {
      const [chunk, wanted] = [this.#chunks[index], kept.#chunks[index]];
      if (chunk === wanted) continue;
      if (chunk) giveUp(chunk);
      if (wanted) wanted.owners++;
      this.#chunks[index] = wanted;
    }
    this.#chunks.length = kept.#chunks.length;
    this.#size = kept.#size;
  }

  /** Copies into `target` at `offset`; answers how many bytes there were. */
  read(target: Int8Array | Uint8Array, offset: number, length: number, position: number): number {
    const end = Math.min(this.#size, position + length);
    if (position >= end) return 0;
    this.#load(position, end);
    forEachChunk(position, end, (index, from, to, at) => {
      const bytes = this.#chunks[index]?.bytes;
      const there = Math.max(from, Math.min(to, bytes?.length ?? 0));
      if (bytes) target.set(bytes.subarray(from, there), offset + at);
      target.fill(0, offset + at + there - from, offset + at + to - from);
    });
    return end - position;
  }

  write(source: Int8Array | Uint8Array, offset: number, length: number, position: number): void {
    this.#load(position, position + length);
    forEachChunk(position, position + length, (index, from, to, at) => {
      this.#own(index, to).set(source.subarray(offset + at, offset + at + to - from), from);
    });
    this.#size = Math.max(this.#size, position + length);
  }

  resize(size: number): void {
    if (size < this.#size) this.#shrink(size);
    this.#size = size;
  }

  /** Gives up everything; an empty file, too, that others would have to read. */
  release(): void {
    this.#shrink(0);
    this.#size = 0;
  }

  #shrink(size: number): void {
    if (size > 0) this.#load();
    this.#unread?.owners.delete(this);
    this.#unread = undefined;
    const kept = Math.ceil(size / chunkBytes);
    for (const chunk of this.#chunks.splice(kept)) if (chunk) giveUp(chunk);
    const rest = size - (kept - 1) * chunkBytes;
    const last = this.#chunks[kept - 1];
    if (!last || last.bytes.length <= rest) return;
    const shorter = last.bytes.slice(0, rest);
    giveUp(last);
    this.#chunks[kept - 1] = makeChunk(shorter);
  }

  /** The bytes of a chunk that may be written to, `length` of them at least. */
  #own(index: number, length: number): Uint8Array {
    const chunk = this.#chunks[index];
    if (chunk?.owners === 1 && chunk.bytes.length >= length) return chunk.bytes;
    const before = chunk?.bytes.length ?? 0;
    const doubled = index < firstWhole ? Math.max(length, before * 2) : chunkBytes;
    const wanted = before >= length ? before : Math.min(chunkBytes, doubled);
    const bytes = new Uint8Array(wanted);
    if (chunk) {
      bytes.set(chunk.bytes);
      giveUp(chunk);
    }
    this.#chunks[index] = makeChunk(bytes);
    return bytes;
  }

  /** Reads what has not been read of a range, or of all, for everybody who shares it. */
  #load(start = 0, end = this.#size): void {
    if (!this.#unread) return;
    const { read, readPart, owners, pending } = this.#unread;
    if (readPart) {
      forEachChunk(start, end, (index) => {
        if (!pending.has(index)) return;
        const bytes = readPart(index * chunkBytes, (index + 1) * chunkBytes);
        // What could not be read is read the next time, and not zeros.
        pending.delete(index);
        if (bytes.length > 0) FileContents.#add(owners, index, bytes);
      });
      if (pending.size > 0) return;
    } else {
      const bytes = read();
      for (let at = 0; at < bytes.length; at += chunkBytes) {
        FileContents.#add(owners, at / chunkBytes, new Uint8Array(bytes.subarray(at, at + chunkBytes)));
      }
    }
    for (const owner of owners) owner.#unread = undefined;
  }

  static #add(owners: ReadonlySet<FileContents>, index: number, bytes: Uint8Array<ArrayBuffer>): void {
    const chunk = makeChunk(bytes, owners.size);
    for (const owner of owners) owner.#chunks[index] = chunk;
  }
}

/** Calls `visit` for each chunk of a range of a file: its part of the chunk, and where that is in the range. */
function forEachChunk(
  start: number,
  end: number,
  visit: (index: number, from: number, to: number, at: number) => void,
): void {
  for (let position = start; position < end; ) {
    const index = Math.floor(position / chunkBytes);
    const from = position - index * chunkBytes;
    const to = Math.min(chunkBytes, end - index * chunkBytes);
    visit(index, from, to, position - start);
    position += to - from;
  }
}

function makeChunk(bytes: Uint8Array<ArrayBuffer>, owners = 1): Chunk {
  memoryBudget.takenBytes += bytes.length;
  return { bytes, owners };
}

/** The last owner of a chunk has its memory given back. */
function giveUp(chunk: Chunk): void {
  chunk.owners--;
  if (chunk.owners > 0) return;
  memoryBudget.takenBytes -= chunk.bytes.length;
  chunk.bytes.buffer.transfer(0);
}
