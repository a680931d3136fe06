/**
 * Where the engine keeps what is slow to make and can be made again.
 *
 * Owns: the directory of the user's cache, and replacing a file in it. Does not own: what the files are, or whether they
 * can be trusted (`module-cache.ts`, `new-cluster.ts`).
 * Invariant: a file is either whole or not there: it is written beside and renamed.
 */
import { randomUUID } from "node:crypto";
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";

/** Where the user's programs keep what can be made again (XDG base directory specification); undefined for nowhere. */
export function cacheDirectory(): string | undefined {
  try {
    const base = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
    return isAbsolute(base) ? join(base, "pglite-devdb") : undefined;
  } catch {
    // The user of a container may have neither HOME nor a line in /etc/passwd.
    return undefined;
  }
}

/** Writes a file of the cache. Not being able to (a read-only home, a full disk) is no error: it is made again then. */
export function keepInCache(path: string, contents: Uint8Array): void {
  const temporary = `${path}.${randomUUID()}`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    try {
      writeFileSync(temporary, contents, { mode: 0o600 });
      renameSync(temporary, path);
    } finally {
      rmSync(temporary, { force: true });
    }
  } catch {
    // There is none, then.
  }
}
