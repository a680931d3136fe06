/**
 * Snapshots of a database in a directory: each is a database that is a copy of it, and to which nobody connects.
 *
 * Owns: how these are called. Does not own: making them, and going back to one (`../thread/directory-states.ts`).
 * Invariant: none of the names is that of a branch (`branches.ts`).
 */
import { UsageError } from "../errors.ts";
import { escapeForTerminal, escapeJson } from "../system/terminal-text.ts";

const kept = "~snapshot:";
const working = "~snapshot!";
/** NAMEDATALEN without the byte at its end. */
const longestName = 63;
/** name_too_long */
const nameTooLong = "42622";

/** Databases that go at the next start, whatever is in them: as a pattern of PostgreSQL, for names, and for those that are half dropped. */
export const leftoverPatterns = { name: `${working}(new|old|start)$`, halfDropped: `${kept}|${working}` } as const;

/** Throws a `UsageError` for a name that would not be shown as it is. */
export function checkSnapshotName(name: string): void {
  if (escapeForTerminal(name) !== name || /[\n\t]/.test(name))
    throw new UsageError(
      `invalid snapshot name ${escapeJson(JSON.stringify(name))}: must not contain control characters`,
    );
}

/** The database of a snapshot. Throws a `UsageError` for a name that it cannot have. */
export function snapshotDatabase(database: string, name: string): string {
  const there = `${database}${kept}${name}`;
  checkSnapshotName(name);
  if (name === "" || /[~\0]/.test(name))
    throw new UsageError(
      `${JSON.stringify(name)} cannot be a snapshot's name in a directory: it has no ~, and a character`,
    );
  return short(there);
}

/** What the names of a database's snapshots begin with. */
export function snapshotPrefix(database: string): string {
  return `${database}${kept}`;
}

/** `new`: a copy that is being made. `old`: what one has taken the place of. `start`: what the database was when its server became ready. */
export function workingDatabase(database: string, purpose: "new" | "old" | "start"): string {
  return short(`${database}${working}${purpose}`);
}

function short(database: string): string {
  if (Buffer.byteLength(database) > longestName)
    throw new UsageError(`the database name ${database} is too long: at most ${longestName} bytes`, {
      code: nameTooLong,
    });
  return database;
}
