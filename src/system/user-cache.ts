/**
 * Where the engine keeps what is slow to make and can be made again.
 *
 * Owns: the directory of the user's cache, whether it can be trusted, whether it is used, and opening and replacing a file in
 * it. Does not own: what the files are, or whether they are whole (`../sessions/module/module-cache.ts`, `../sessions/module/code-cache.ts`, `../cluster/new-cluster.ts`); which
 * of them go (`cache-pruning.ts`).
 * Invariant: a file is either whole or not there: it is written beside and renamed.
 */
import { randomUUID } from "node:crypto";
import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  futimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";

/** Far more than any file of the cache has; a larger one is none of ours. */
const longestFileBytes = 1 << 28;

/** What is read at least so often has been read lately: the system may not note when files are read. */
const notedReadMs = 3600 * 1000;

let isForgone = false;

/** From now on this thread reads and writes nothing in the cache (`--no-cache`). */
export function forgoCache(): void {
  isForgone = true;
}

/**
 * Where the user's programs keep what can be made again (XDG base directory specification); undefined for nowhere. The server runs
 * code from it. So it does not use another user's directory, and warns; it sets the mode of a directory that others may write to.
 */
export function cacheDirectory(): string | undefined {
  if (isForgone) return undefined;
  const path = pathOfCache();
  const distrust = path && reasonNotToTrust(path);
  if (!distrust) return path;
  if (!warned.has(path)) process.emitWarning(`the cache ${path} is not used: ${distrust}`);
  warned.add(path);
  return undefined;
}

/** Whether nobody has kept an empty cluster there yet, whoever may trust it; for what a person is told. */
export function isCacheEmpty(): boolean {
  try {
    return !readdirSync(pathOfCache() ?? "").some((name) => name.startsWith("cluster-"));
  } catch {
    return true;
  }
}

const warned = new Set<string>();

function pathOfCache(): string | undefined {
  try {
    const base = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
    return isAbsolute(base) ? join(base, "pglite-devdb") : undefined;
  } catch {
    // The user of a container may have neither HOME nor a line in /etc/passwd.
    return undefined;
  }
}

/** A part of a sentence; undefined if it can be trusted, or is not there. */
function reasonNotToTrust(path: string): string | undefined {
  const user = process.getuid?.();
  // Windows, where a user's profile is closed to others.
  if (user === undefined) return undefined;
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    if (!found) return undefined;
    if (!found.isDirectory()) return "it is not a directory";
    if (found.uid !== user) return `it belongs to the user with the id ${found.uid}, this process runs as ${user}`;
    if (found.mode & 0o077) chmodSync(path, 0o700);
    // Some file systems take no modes. Files of other users stay theirs, and `openCached` does not read them.
    const mode = statSync(path).mode & 0o777;
    return mode & 0o022 ? `others may write to it (${mode.toString(8)}), and its mode could not be changed` : undefined;
  } catch (error) {
    return `it cannot be read (${(error as NodeJS.ErrnoException).code})`;
  }
}

/**
 * Opens a file of the cache to read it. Throws for what is no regular file of this user, may be written by others, or is
 * too large. Opening never waits, as that of a pipe would.
 */
export function openCached(path: string): number {
  const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants;
  const file = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const found = fstatSync(file);
    const user = process.getuid?.();
    if (!found.isFile()) throw new Error(`${path} is not a regular file`);
    if (user !== undefined && found.uid !== user) throw new Error(`${path} belongs to another user`);
    if (user !== undefined && found.mode & 0o022) throw new Error(`others may write to ${path}`);
    if (found.size > longestFileBytes) throw new Error(`${path} is too large`);
    noteRead(file, found);
    usedHere.add(path);
    return file;
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

function noteRead(file: number, { atimeMs, mtimeMs }: Stats): void {
  if (Date.now() - atimeMs < notedReadMs) return;
  try {
    futimesSync(file, Date.now() / 1000, mtimeMs / 1000);
  } catch {
    // The directory can only be read, so that nothing in it goes either.
  }
}

/** The contents of a file of the cache. Throws as `openCached` does. */
export function readCached(path: string): Buffer {
  const file = openCached(path);
  try {
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}

/**
 * Writes a file of the cache, and answers whether it did. Not being able to (a read-only home, a full disk) is no error: it is
 * made again then.
 */
export function keepInCache(path: string, ...parts: readonly Uint8Array[]): boolean {
  const temporary = `${path}.${randomUUID()}`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    try {
      const file = openSync(temporary, "wx", 0o600);
      try {
        for (const part of parts) writeFileSync(file, part);
      } finally {
        closeSync(file);
      }
      renameSync(temporary, path);
    } finally {
      rmSync(temporary, { force: true });
    }
    writtenTo.add(dirname(path));
    usedHere.add(path);
    return true;
  } catch {
    // There is none, then.
    return false;
  }
}

/** Removes a file of the cache that cannot be used. */
export function dropFromCache(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // It is replaced, or in nobody's way.
  }
}

const usedHere = new Set<string>();

/** Whether this thread has read or written that file of the cache. */
export function isUsedHere(path: string): boolean {
  return usedHere.has(path);
}

const writtenTo = new Set<string>();

/** The directories that this thread has written to since it was last asked. */
export function takeWrittenDirectories(): readonly string[] {
  const directories = [...writtenTo];
  writtenTo.clear();
  return directories;
}
