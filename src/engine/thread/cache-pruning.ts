/**
 * What nobody has read for a month goes from the user's cache.
 *
 * Owns: which files that are. Does not own: writing and reading them (`user-cache.ts`), which notes the time of a read.
 * Invariant: only regular files of this user go, whose names this program or Node has given; what this start has read stays, since it
 * was read just now. Node does not note its reads: where the system does not either, what it has written goes after a month, and is made
 * again.
 */
import { lstatSync, readdirSync, rmdirSync, rmSync, type Stats } from "node:fs";
import { join } from "node:path";
import { scriptsDirectory } from "./script-cache.ts";
import { takeWrittenDirectories } from "./user-cache.ts";

const unreadMs = 30 * 24 * 3600 * 1000;

/** Of any version; also one that was being written, or a claim on one, when its writer was killed. */
const ownName =
  /^(cluster|sessions|library|shared|code|snapshot|stock)-\d+-[0-9a-z-]+(\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\.making)?$/;

/** Node's, below `scriptsDirectory`: one for each of its versions, with files of such names; also one that was being written. */
const nodesName = { directory: /^v\d+\.[\w.-]+-[0-9a-f]{1,8}(-\d+)?$/, file: /^[0-9a-f]{1,8}(\.\w{6})?$/ };

/**
 * To be called when this start has read what it needs. Whoever has written a file, which comes with a new version, looks after
 * the old ones. Not being able to is no error. `now` is for tests.
 */
export function pruneWhereWritten(now = Date.now()): void {
  for (const directory of takeWrittenDirectories()) {
    pruneDirectory(directory, ownName, now);
    pruneScripts(join(directory, scriptsDirectory), now);
  }
}

function pruneScripts(scripts: string, now: number): void {
  for (const name of ownDirectory(scripts) ? namesIn(scripts) : []) {
    const directory = join(scripts, name);
    const found = nodesName.directory.test(name) ? ownDirectory(directory) : undefined;
    if (!found) continue;
    pruneDirectory(directory, nodesName.file, now);
    // Node makes it at a thread's start, and writes to it at the end.
    if (now - found.mtimeMs > unreadMs) removeIfEmpty(directory);
  }
}

function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // It is not.
  }
}

function pruneDirectory(directory: string, names: RegExp, now: number): void {
  try {
    for (const name of namesIn(directory)) if (names.test(name)) pruneFile(join(directory, name), now);
  } catch {
    // A file is not this user's to remove.
  }
}

/** None where it is not there any more, or nobody may look into it. */
function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** Undefined if there is none. */
function ownDirectory(path: string): Stats | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false });
  return found?.isDirectory() && (!process.getuid || found.uid === process.getuid()) ? found : undefined;
}

function pruneFile(path: string, now: number): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found?.isFile() || (process.getuid && found.uid !== process.getuid())) return;
  if (now - Math.max(found.atimeMs, found.mtimeMs) > unreadMs) rmSync(path, { force: true });
}
