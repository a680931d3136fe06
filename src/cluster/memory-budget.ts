/**
 * How much memory the files of a database in memory may take.
 *
 * Owns: the count of what they take, the limit, and which files it is for. Does not own: the memory (`file-contents.ts`), what PostgreSQL makes of
 * ENOSPC (53100, storage/smgr/md.c). One for each thread, as a thread has one engine.
 * Invariant: only tables, indexes and temporary files are refused more; PostgreSQL ends when it cannot write its WAL.
 */
import { totalmem } from "node:os";

/** A file or a directory; the root is its own parent. */
interface Place {
  readonly name: string;
  readonly parent: Place;
}

/** A limit that is a share of the memory that there is: the server and whoever else is on the machine needs some. */
const share = 1 / 2;

/** The limit where none is given, in bytes: for the container, where there is one. */
export function defaultMemoryLimit(constrained = process.constrainedMemory(), total = totalmem()): number {
  // 0 or an impossible number: nothing constrains it.
  return (constrained > 0 ? Math.min(constrained, total) : total) * share;
}

class MemoryBudget {
  /** What the chunks of all files take, in bytes. */
  takenBytes = 0;
  limitBytes = Number.POSITIVE_INFINITY;
  /** Is told when a file is refused more for the first time. */
  onFull: () => void = () => {};
  #hasTold = false;

  /** Whether a file that is to become longer is refused that. */
  refuses(file: Place): boolean {
    if (this.takenBytes < this.limitBytes || !isLimited(file)) return false;
    if (!this.#hasTold) this.onFull();
    this.#hasTold = true;
    return true;
  }
}

/** That of this thread. */
export const memoryBudget = new MemoryBudget();

/** Whether it is below `base` or `pg_tblspc`: a table, an index or a temporary file. */
function isLimited(file: Place): boolean {
  let node = file;
  while (node.parent !== node && node.parent.name !== "data") node = node.parent;
  return node.name === "base" || node.name === "pg_tblspc";
}
