/**
 * What nobody has read for a month goes from the user's cache.
 *
 * Owns: which files that are. Does not own: writing and reading them (`user-cache.ts`), which notes the time of a read.
 * Invariant: only regular files of this user go, whose names this program has given; what this start has read stays, since it
 * was read just now.
 */
import { lstatSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { takeWrittenDirectories } from "./user-cache.ts";

const unreadMs = 30 * 24 * 3600 * 1000;

/** Of any version; also one that was being written, or a claim on one, when its writer was killed. */
const ownName =
  /^(cluster|sessions|library|shared|code|snapshot|stock)-\d+-[0-9a-z-]+(\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\.making)?$/;

/**
 * To be called when this start has read what it needs. Whoever has written a file, which comes with a new version, looks after
 * the old ones. Not being able to is no error. `now` is for tests.
 */
export function pruneWhereWritten(now = Date.now()): void {
  for (const directory of takeWrittenDirectories()) {
    try {
      for (const name of readdirSync(directory)) if (ownName.test(name)) pruneFile(join(directory, name), now);
    } catch {
      // It is not there any more, or nobody may look into it.
    }
  }
}

function pruneFile(path: string, now: number): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found?.isFile() || (process.getuid && found.uid !== process.getuid())) return;
  if (now - Math.max(found.atimeMs, found.mtimeMs) > unreadMs) rmSync(path, { force: true });
}
