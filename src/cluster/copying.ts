/**
 * What whoever keeps the files of a cluster can do to have a database copied.
 *
 * Owns: the words for it. Does not own: when a database may be copied (`sessions/database-copies.ts`), doing it (`memory-copies.ts`,
 * `engine/data-directory/directory-files.ts`).
 */
import type { FilesMark } from "./files-mark.ts";

/** A page of a file. */
export interface Page {
  /** The file's name in its database's directory. */
  readonly file: string;
  readonly position: number;
  readonly bytes: Uint8Array;
}

/**
 * Copies a directory of files, and writes pages over the copies. False when nothing was done, and PostgreSQL is to do it: then there
 * were no pages. Throws the system's error when it could not be done; nothing is left of it.
 */
type CopyDirectory = (from: string, to: string, pages: readonly Page[]) => boolean;

/** How files are copied. */
export interface Copying {
  readonly directory: CopyDirectory;
  /** Has a copy that nobody has changed be what `directory` would make now; absent where that would be a copy. */
  readonly refresh?: CopyDirectory;
  /** Whether that costs next to nothing: then a CREATE DATABASE does it that says nothing about it. */
  readonly isCheap: boolean;
  /** Remembers the data directory as it is; absent where that would be a copy. */
  readonly mark?: () => FilesMark;
  /** Why a mark would not have all files of the server; a sentence. */
  readonly obstacle?: () => string | undefined;
}
