/**
 * Removing the data of a directory, so that its next start begins anew.
 *
 * Owns: what is removed, and in which order. Does not own: whether somebody else uses the directory (`engine/data-directory/directory-lock.ts`), what is
 * a data directory (`engine/data-directory/data-directory.ts`).
 * Invariant: only a PostgreSQL data directory is emptied, and only under its lock; where that was interrupted, it can be done again.
 */
import { existsSync, readdirSync, renameSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import {
  clusterName,
  prepareDataDirectory,
  readClusterDirectory,
  unfinishedClusterName,
} from "../engine/data-directory/data-directory.ts";
import { lockDirectory, lockName } from "../engine/data-directory/directory-lock.ts";
import { DataDirectoryError } from "../errors.ts";

/** What makes it a data directory: it goes last. */
const versionFile = "PG_VERSION";

/** Empties it. Answers whether there was anything. Rejects with a `DataDirectoryError` if it is in use, or holds something else. */
export async function emptyDirectory(path: string): Promise<boolean> {
  if (!existsSync(path)) return false;
  const isNative = !existsSync(join(path, versionFile)) && checkNative(path);
  if (!isNative) prepareDataDirectory(path);
  const lock = await lockDirectory(path);
  try {
    return isNative ? removeClusters(path) : removeContents(path);
  } finally {
    await lock.release();
  }
}

/** Whether it is one of a native PostgreSQL. Throws for one that others have put something into. */
function checkNative(path: string): boolean {
  const { clusters, others } = readClusterDirectory(path);
  if (clusters.length === 0) return false;
  if (others.length === 0) return true;
  const found = others.slice(0, 3).join(", ");
  throw new DataDirectoryError(
    `${path} is not only a PostgreSQL data directory: it holds other files (${found}); move them, or delete ${join(path, clusters[0]!)} yourself`,
  );
}

/** Those that are there under the lock. One that is being removed has the name of an unfinished one: the next start makes it anew. */
function removeClusters(path: string): boolean {
  const { clusters } = readClusterDirectory(path);
  const going = join(path, unfinishedClusterName);
  for (const name of [unfinishedClusterName, clusterName]) {
    if (!clusters.includes(name)) continue;
    if (name === clusterName) renameSync(join(path, name), going);
    removeContents(going);
    rmdirSync(going);
  }
  return clusters.length > 0;
}

function removeContents(path: string): boolean {
  const names = readdirSync(path).filter((name) => !name.startsWith(lockName));
  const last = (name: string) => Number(name === versionFile);
  for (const name of names.sort((a, b) => last(a) - last(b))) {
    rmSync(join(path, name), { recursive: true, force: true, maxRetries: 3 });
  }
  return names.length > 0;
}
