/**
 * Copying a directory of files in the system.
 *
 * Owns: that they are shared where the file system can do that, and their way to the disk. Does not own: which directory
 * (`directory-files.ts`). Mirrors copydir (storage/file/copydir.c): all files, and then the directory, are on the disk before it returns.
 */
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

/** What is newer than in the file that is copied. */
interface FilePage {
  readonly file: string;
  readonly position: number;
  readonly bytes: Uint8Array;
}

/**
 * Copies a directory that has nothing but files to one that does not exist, and writes pages over the copies that there are. False when the two are not so; throws the
 * system's error. Then nothing is there.
 */
export function copyFiles(from: string, to: string, pages: readonly FilePage[], fsync: boolean): boolean {
  if (existsSync(to)) return false;
  try {
    const entries = readdirSync(from, { withFileTypes: true });
    if (!entries.every((entry) => entry.isFile())) return false;
    mkdirSync(to, { mode: statSync(from).mode });
    const names = new Set(entries.map(({ name }) => name));
    for (const name of names) {
      copyFileSync(join(from, name), join(to, name), constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
    }
    for (const page of pages) if (names.has(page.file)) overwrite(join(to, page.file), page);
    if (fsync) for (const name of names) sync(join(to, name));
    if (fsync) sync(to);
    return true;
  } catch (error) {
    try {
      rmSync(to, { recursive: true, force: true });
    } catch {
      // Why it could not be copied is what counts.
    }
    throw error;
  }
}

function overwrite(path: string, { position, bytes }: FilePage): void {
  const file = openSync(path, "r+");
  try {
    // On a disk that becomes full only a part of it is written, without an error; the next part has the error.
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(file, bytes, done, bytes.length - done, position + done);
    }
  } finally {
    closeSync(file);
  }
}

function sync(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
