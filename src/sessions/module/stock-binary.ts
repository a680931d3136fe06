/**
 * PGlite's binary as it was published, by its hash.
 *
 * Owns: remembering the hash of a file for as long as the file is as it was. Does not own: what the hash is looked up for
 * (`module-cache.ts`), the directory (`../../system/user-cache.ts`).
 * Form: what was known of the file when it was read, its SHA-256, and the SHA-256 of both, line by line.
 * Invariant: a file is read unless its path, size, times and number are those of one that was read whole, and its last change was
 * some time before that.
 */
import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { cacheDirectory, keepInCache, readCached } from "../../system/user-cache.ts";

/** Part of the file's name: to be raised with every change of its form. */
const stockVersion = 1;

/** A file that was changed twice within the resolution of its times looks as it did in between. */
const settledMs = 2000;

/** A binary. */
export interface StockBinary {
  /** Its SHA-256, in hexadecimal. */
  readonly hash: string;
  read(): Uint8Array;
}

/** The binary in a file. `directory` and `now` are for tests; an empty directory is no cache. */
export function stockBinary(
  path: string,
  directory: string | undefined = cacheDirectory(),
  now = Date.now(),
): StockBinary {
  const { size, mtimeMs, ctimeMs, ino, dev } = statSync(path);
  const state = JSON.stringify([path, size, mtimeMs, ctimeMs, ino, dev]);
  const kept = directory && join(directory, `stock-${stockVersion}-${sha256(path).slice(0, 32)}`);
  const known = kept && recall(kept, state);
  if (known) return { hash: known, read: () => readFileSync(path) };
  const bytes = readFileSync(path);
  const hash = sha256(bytes);
  const isSettled = now - Math.max(mtimeMs, ctimeMs) > settledMs;
  if (kept && isSettled) keepInCache(kept, Buffer.from(`${state}\n${hash}\n${sha256(`${state}\n${hash}`)}`));
  return { hash, read: () => bytes };
}

function recall(kept: string, state: string): string | undefined {
  try {
    const [of, hash, check] = readCached(kept).toString("utf8").split("\n");
    return of === state && check === sha256(`${of}\n${hash}`) ? hash : undefined;
  } catch {
    return undefined;
  }
}

function sha256(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}
