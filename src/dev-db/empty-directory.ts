/**
 * Removing the data of a directory, so that its next start begins anew.
 *
 * Owns: what is removed, and in which order. Does not own: whether somebody else uses the directory (`engine/directory-lock.ts`).
 * Invariant: only a PostgreSQL data directory is emptied, and only under its lock; where that was interrupted, it can be done again.
 */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { clusterName, prepareDataDirectory } from "../engine/data-directory.ts";
import { lockDirectory, lockName } from "../engine/directory-lock.ts";

/** What makes it a data directory: it goes last. */
const versionFile = "PG_VERSION";

/** Empties it. Answers whether there was anything. Rejects with a `DataDirectoryError` if it is in use, or holds something else. */
export async function emptyDirectory(path: string): Promise<boolean> {
  if (!existsSync(path)) return false;
  if (!existsSync(join(path, clusterName))) prepareDataDirectory(path);
  const lock = await lockDirectory(path);
  try {
    const names = readdirSync(path).filter((name) => !name.startsWith(lockName));
    const last = (name: string) => Number(name === versionFile);
    for (const name of names.sort((a, b) => last(a) - last(b))) {
      rmSync(join(path, name), { recursive: true, force: true, maxRetries: 3 });
    }
    return names.length > 0;
  } finally {
    await lock.release();
  }
}
