/**
 * The first start in a data directory, so that an end at any moment leaves nothing or a usable database.
 *
 * Owns: `pglite-devdb.init` in the data directory, where a new database is made, and its move to its place. Does not own:
 * the making (`../../cluster/new-cluster.ts`), or that nobody else does the same (`directory-lock.ts`).
 * Invariant: without `whole` nothing of it has been moved and all of it can be removed; with `whole` the moves can be
 * finished at any later time. PG_VERSION, by which a data directory is known, is moved last. Nothing else is ever removed.
 *
 * It is a directory inside, not beside, the data directory: so it is on the same file system also if that is a mount
 * point, it needs no right to write elsewhere, and the lock stays where it is.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { syncFile, syncTree } from "./sync-tree.ts";

/** The name of the directory in which a new database is made. */
export const initializationName = "pglite-devdb.init";

/** The file that is written when the new database is complete. */
const wholeName = "whole";

/** Whether the database here was complete when its move was interrupted; `finishInitialization` ends that. */
export function isInterruptedMove(path: string): boolean {
  return existsSync(join(path, initializationName, wholeName));
}

/**
 * Finishes or clears away what an earlier start left. Returns an empty directory to make the new database in, or
 * undefined if there is one already. For the owner of the lock.
 */
export function beginInitialization(path: string): string | undefined {
  if (isInterruptedMove(path)) moveIntoPlace(path);
  rmSync(join(path, initializationName), { recursive: true, force: true });
  if (existsSync(join(path, "PG_VERSION"))) return undefined;
  const files = filesDirectory(path);
  mkdirSync(files, { recursive: true, mode: 0o700 });
  return files;
}

/** Moves the complete database into its place. With `sync` it survives a power cut from now on. */
export async function finishInitialization(path: string, sync: boolean): Promise<void> {
  if (sync) await syncTree(filesDirectory(path));
  writeFileSync(join(path, initializationName, wholeName), "");
  if (sync) syncFile(join(path, initializationName, wholeName));
  if (sync) syncFile(join(path, initializationName));
  moveIntoPlace(path);
  if (sync) {
    syncFile(path);
    // Not joined: what stands for the directory may be a link to it.
    syncFile(`${path}/..`);
  }
  rmSync(join(path, initializationName), { recursive: true, force: true });
}

function moveIntoPlace(path: string): void {
  const from = filesDirectory(path);
  if (!existsSync(from)) return;
  const names = readdirSync(from).filter((name) => name !== "PG_VERSION");
  for (const name of names) renameSync(join(from, name), join(path, name));
  if (existsSync(join(from, "PG_VERSION"))) renameSync(join(from, "PG_VERSION"), join(path, "PG_VERSION"));
}

function filesDirectory(path: string): string {
  return join(path, initializationName, "data");
}
