/**
 * Deletes files from the user's cache: those unread for a month, then the least recently read ones until the cache is small enough.
 *
 * Owns: the choice of files. Does not own: writing and reading them (`user-cache.ts`), which notes the time of a read.
 * Invariant: only regular files of this user go, whose names this program has given; a file that this thread has read or written
 * stays, and the others make room for it.
 */
import { lstatSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { isUsedHere, takeWrittenDirectories } from "./user-cache.ts";

const unreadMs = 30 * 24 * 3600 * 1000;
/** Of one version 70 MB are needed, 25 of them a snapshot, of which there is one for each combination of settings. */
const mostBytes = 150_000_000;

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
      prune(directory, now);
    } catch {
      // It is not there any more, or nobody may look into it.
    }
  }
}

interface OwnFile {
  readonly path: string;
  readonly bytes: number;
  /** When it was last read or written. */
  readonly usedMs: number;
  readonly rank: Rank;
}

/** The last one goes first: snapshots are the most files, and the fastest to make again. */
const ranks = ["used here", "other", "snapshot"] as const;
type Rank = (typeof ranks)[number];

function prune(directory: string, now: number): void {
  const files = readdirSync(directory).flatMap((name) => ownFile(directory, name));
  // Those that stay the longest come first.
  files.sort((a, b) => ranks.indexOf(a.rank) - ranks.indexOf(b.rank) || b.usedMs - a.usedMs);
  let bytes = 0;
  for (const file of files) {
    bytes += file.bytes;
    if (file.rank === "used here" || (bytes <= mostBytes && now - file.usedMs <= unreadMs)) continue;
    rmSync(file.path, { force: true });
    bytes -= file.bytes;
  }
}

function ownFile(directory: string, name: string): OwnFile[] {
  if (!ownName.test(name)) return [];
  const path = join(directory, name);
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found?.isFile() || (process.getuid && found.uid !== process.getuid())) return [];
  const usedMs = Math.max(found.atimeMs, found.mtimeMs);
  return [{ path, bytes: found.size, usedMs, rank: rankOf(path, name) }];
}

function rankOf(path: string, name: string): Rank {
  if (isUsedHere(path)) return "used here";
  return name.startsWith("snapshot-") ? "snapshot" : "other";
}
