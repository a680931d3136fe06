/**
 * How many files each backend of a data directory may keep open.
 *
 * Owns: dividing what the process may have open among its backends. Does not own: PostgreSQL's cache of open files (fd.c), which keeps
 * to its `max_files_per_process`.
 * Invariant: all backends together stay below the limit of the process wherever that leaves each of them PostgreSQL's minimum.
 *
 * In PostgreSQL each backend is a process with a limit of its own; here one that has none left fails for what others have open.
 */
import { readdirSync, readFileSync } from "node:fs";

/** PostgreSQL's default and its minimum. */
const most = 1000;
const fewest = 64;
/** For Node, the WAL and what is opened for a moment; each connection's socket comes on top of it. */
const spare = 200;
/** What a thousand sessions with their files and sockets stay below. */
const neverReached = 200_000;

/** The value of `max_files_per_process` for so many sessions. `limit` is how many files the process may have open, if that is known. */
export function filesPerBackend(maxSessions: number, limit = openFilesLimit()): number {
  if (limit === undefined) return most;
  const share = Math.floor((limit - spare - maxSessions) / maxSessions);
  return Math.max(fewest, Math.min(most, share));
}

/**
 * Whether the process may open as many more files as a session needs before PostgreSQL gets an error. With a high limit, the files are not
 * counted.
 */
export function hasFilesLeft(limit = openFilesLimit()): boolean {
  if (limit === undefined || limit > neverReached) return true;
  return limit - readdirSync("/proc/self/fd").length > fewest;
}

/** The soft limit, which Node has raised to the hard one; read once. */
let softLimit: { readonly files: number | undefined } | undefined;

function openFilesLimit(): number | undefined {
  softLimit ??= { files: readSoftLimit() };
  return softLimit.files;
}

function readSoftLimit(): number | undefined {
  if (process.platform !== "linux") return undefined;
  const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1")) ?? [];
  return soft === undefined ? undefined : Number(soft);
}
