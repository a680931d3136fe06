/**
 * Files that are to survive a power cut.
 *
 * Owns: bringing a directory with all that is in it to the disk. Does not own: which directory, or when.
 * Invariant: when it resolves, every file and every directory has been synced by itself.
 */
import { execFile } from "node:child_process";
import { closeSync, fsyncSync, openSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** Syncs a directory, its files and all below, and what links in it lead to (`initdb --waldir`). Rejects with the error of the system. */
export async function syncTree(directory: string): Promise<void> {
  await writeBack(directory);
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isSymbolicLink() && statSync(path, { throwIfNoEntry: false })?.isDirectory()) syncEach(path);
  }
  syncEach(directory);
}

/** Syncs one file, or the names in one directory. Throws the error of the system. */
export function syncFile(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } catch (error) {
    // Some systems have no fsync for directories; PostgreSQL ignores the same two there (fd.c, fsync_fname_ext).
    if (!["EBADF", "EINVAL"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Has the system write the whole file system at once, where its `sync` can do that. It only saves time: a thousand small
 * files one after the other take a thousand turns of the disk. Whether it worked does not matter.
 */
function writeBack(path: string): Promise<void> {
  return new Promise((resolve) => {
    // The path may lead through this process's own descriptors.
    execFile("sync", ["-f", "."], { cwd: path }, () => resolve());
  });
}

function syncEach(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) syncEach(path);
    else if (entry.isFile()) syncFile(path);
  }
  syncFile(directory);
}
