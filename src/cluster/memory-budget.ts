/**
 * The memory limit of a database in memory.
 *
 * Owns: the number of bytes in use, the limit, and the files that it applies to. Does not own: the memory (`file-contents.ts`); PostgreSQL turns
 * ENOSPC into 53100 (storage/smgr/md.c). Each thread has one budget, because a thread has one engine.
 * Invariant: the limit applies to tables, indexes and temporary files only, because PostgreSQL ends when it cannot write its WAL.
 */
import { totalmem } from "node:os";

/** A file or a directory; the root is its own parent. */
interface Place {
  readonly name: string;
  readonly parent: Place;
}

/** The default limit as a share of the memory. The server itself and other programs need the rest. */
const share = 1 / 2;

/**
 * How far beyond the limit a file may still grow that has to for DROP, TRUNCATE, or DELETE and VACUUM to give memory back: a catalog, a
 * relation's maps, and the beginning of a new index.
 */
const reserveBytes = 16 * 2 ** 20;
const beginningBytes = 32 * 1024;

/** A relation's file, also one of a temporary table: its number and its fork (common/relpath.c). */
const relationFile = /^(?:t\d+_)?(\d+)(_\w+)?/;
/** `FirstNormalObjectId` (access/transam.h). */
const firstOfUsers = 16_384;
/** `pg_largeobject` and its index have what users put there. */
const largeObjects = [2613, 2683];

/** Returns the default limit in bytes: a share of the container's memory, or of the machine's. */
export function defaultMemoryLimit(constrained = process.constrainedMemory(), total = totalmem()): number {
  // Node reports 0 or a number above `total` where no container limits the process.
  return (constrained > 0 ? Math.min(constrained, total) : total) * share;
}

class MemoryBudget {
  /** Bytes in use by the chunks of all files. */
  takenBytes = 0;
  limitBytes = Number.POSITIVE_INFINITY;
  /** Called once, at the first refusal. */
  onFull: () => void = () => {};
  /** Called at each refusal: whoever has memory that nobody needs gives it back. */
  onRefusal: () => void = () => {};
  #hasTold = false;

  /** Returns whether the limit forbids this file to grow to `size` bytes. */
  refuses(file: Place, size: number): boolean {
    if (this.takenBytes < this.limitBytes || !isLimited(file)) return false;
    if (this.takenBytes < this.limitBytes + reserveBytes && isNeededToShrink(file, size)) return false;
    this.onRefusal();
    if (!this.#hasTold) this.onFull();
    this.#hasTold = true;
    return true;
  }
}

/** The budget of this thread. */
export const memoryBudget = new MemoryBudget();

/** Returns whether a file is below `base` or `pg_tblspc`, where tables, indexes and temporary files are. */
function isLimited(file: Place): boolean {
  let node = file;
  while (node.parent !== node && node.parent.name !== "data") node = node.parent;
  return node.name === "base" || node.name === "pg_tblspc";
}

function isNeededToShrink(file: Place, size: number): boolean {
  const [name, number, fork] = relationFile.exec(file.name) ?? [];
  if (name === undefined) return false;
  if (fork !== undefined || size <= beginningBytes) return true;
  return Number(number) < firstOfUsers && !largeObjects.includes(Number(number));
}
