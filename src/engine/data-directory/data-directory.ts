/**
 * The directory of a durable database, before and around its opening.
 *
 * Owns: whether a path can be used, in sentences. Does not own: the files inside (PostgreSQL's), or who else has it open.
 * Invariant: nothing is written into a directory that holds something else than a PostgreSQL data directory.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { DataDirectoryError } from "../../errors.ts";
import type { StartupError } from "../../sessions/server-log.ts";
import { lockName } from "./directory-lock.ts";
import { initializationName, isInterruptedMove } from "./initialization.ts";

/** The directory of the cluster in a data directory of a native PostgreSQL (`--engine postgres`). */
export const clusterName = "postgresql";

/** Of a cluster that initdb is making, or that is being removed. */
export const unfinishedClusterName = `${clusterName}.new`;

/** What initdb makes before it writes PG_VERSION. */
const beforeVersion = /^(base|global|pg_\w+)$/;

/**
 * What is in a directory beside our own locks: the clusters of a native PostgreSQL, told by their content, as anybody may have a directory
 * that is called `postgresql`; and other things.
 */
export function readClusterDirectory(path: string): { readonly clusters: string[]; readonly others: string[] } {
  const names = readdirSync(path).filter((name) => !name.startsWith(lockName));
  const clusters = names.filter((name) => {
    if (name === clusterName) return isFile(join(path, name, "PG_VERSION"));
    return name === unfinishedClusterName && isUnfinishedCluster(join(path, name));
  });
  return { clusters, others: names.filter((name) => !clusters.includes(name)) };
}

function isUnfinishedCluster(path: string): boolean {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return false;
  return isFile(join(path, "PG_VERSION")) || readdirSync(path).every((name) => beforeVersion.test(name));
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** The PostgreSQL major version of the pinned PGlite; a data directory belongs to one major version. */
const majorVersion = "18";

/**
 * Makes the directory if it is missing, readable for its owner only, and checks that it is empty or a data directory of
 * this PostgreSQL version, or that nothing but its first start has been here, and that only its owner can change it.
 * Engine: PGlite itself would write a new database beside whatever files it finds. Throws a `DataDirectoryError`.
 */
export function prepareDataDirectory(path: string, log: (level: "info", line: string) => void = () => {}): void {
  let entries: string[];
  try {
    mkdirSync(dirname(path), { recursive: true });
    makeDirectory(path);
    entries = readdirSync(path).filter((name) => !isOurs(name));
  } catch (error) {
    throw new DataDirectoryError(explain(path, (error as NodeJS.ErrnoException).code), { cause: error });
  }
  checkEntries(path, entries);
  const isEmpty = entries.length === 0;
  keepOthersOut(path, isEmpty ? () => {} : (line) => log("info", line), isEmpty);
}

function checkEntries(path: string, entries: readonly string[]): void {
  if (entries.length === 0) return;
  if (!entries.includes("PG_VERSION")) {
    if (isInterruptedMove(path)) return;
    if (readClusterDirectory(path).clusters.length > 0) {
      throw new DataDirectoryError(
        `${path} is a data directory of --engine postgres; name another directory for the engine pglite. ` +
          "Data gets from one to the other by pglite-devdb dump and restore",
      );
    }
    const found = entries.slice(0, 3).join(", ");
    throw new DataDirectoryError(
      `${path} is not a PostgreSQL data directory: it holds other files (${found}); name an empty or a new directory`,
    );
  }
  const other = describeOtherVersion(path);
  if (other !== undefined) throw new DataDirectoryError(other);
}

/** Says that a data directory belongs to another major version, and what to do; undefined if it does not. Throws a `DataDirectoryError`. */
export function describeOtherVersion(path: string): string | undefined {
  const version = readVersion(path);
  if (version === majorVersion) return undefined;
  return (
    `${path} belongs to PostgreSQL ${JSON.stringify(version)}, but this server is PostgreSQL ${majorVersion}; name another directory, ` +
    "or dump the data with the PGlite version that made the directory, and restore the dump: see docs/coming-from.md"
  );
}

/**
 * The error to show when the engine could not open the directory: what PostgreSQL said, if it said anything. Deleting it is
 * advised only where nothing can be lost.
 */
export function describeOpenFailure(path: string, cause: unknown): DataDirectoryError {
  const { words } = (cause ?? {}) as StartupError;
  // PGlite's PostgreSQL sees the directory at a path of its own.
  const said = words?.replaceAll(/\/pglite\/data\b/g, path).replaceAll("\n", "\n  ");
  const failure = said
    ? `PostgreSQL does not start in ${path}:\n  ${said}`
    : `${path} cannot be opened as a data directory (${describe(cause)})`;
  const advice = isUnfinished(path) ? "\nIts first start was interrupted, and there is no data in it: delete it" : "";
  return new DataDirectoryError(failure + advice, { cause });
}

/**
 * Whether initdb, which older versions and PGlite run in the directory itself, was interrupted before it made anything that
 * a row could be in: it writes PG_VERSION first, and then has PostgreSQL make the control file, the WAL and the catalogs.
 */
function isUnfinished(path: string): boolean {
  try {
    const isMade = existsSync(join(path, "global", "pg_control"));
    return !isMade && ["base", "pg_wal", "pg_tblspc"].every((name) => holdsNothing(join(path, name)));
  } catch {
    return false;
  }
}

function holdsNothing(path: string): boolean {
  if (!existsSync(path)) return true;
  return readdirSync(path, { recursive: true, withFileTypes: true }).every((entry) => entry.isDirectory());
}

/** `PG_MODE_MASK_GROUP` (common/file_perm.h): what a data directory must not allow. */
const forbidden = 0o027;

/**
 * PostgreSQL starts only in a directory of mode 0700 or 0750 (miscinit.c, checkDataDir). PGlite and `mkdir` make one that
 * others may read: that is put right, as initdb does it with an empty one. Where others may write, what they have written is
 * not known; that is refused.
 */
function keepOthersOut(path: string, log: (line: string) => void, isEmpty: boolean): void {
  if (process.platform === "win32") return;
  const mode = statSync(path).mode & 0o777;
  if ((mode & forbidden) === 0) return;
  const isWritable = (mode & 0o022) !== 0;
  if (!isWritable || isEmpty) {
    try {
      chmodSync(path, 0o700);
    } catch {
      // Somebody else's; it is refused.
    }
    if ((statSync(path).mode & forbidden) === 0) {
      log(
        `${path} had the permissions ${octal(mode)}; it has 0700 now: nobody but its owner may read a data directory`,
      );
      return;
    }
  }
  throw new DataDirectoryError(
    `data directory "${path}" has invalid permissions (${octal(mode)})\n` +
      "DETAIL:  Permissions should be u=rwx (0700) or u=rwx,g=rx (0750).\n" +
      `HINT:  chmod 0700 ${path}`,
  );
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}

function isOurs(name: string): boolean {
  return name === initializationName || name.startsWith(lockName);
}

/** PostgreSQL wants no access for others, and PGlite makes files that everybody can write. */
function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST" || !statSync(path).isDirectory()) throw error;
  }
}

function readVersion(path: string): string {
  try {
    return readFileSync(join(path, "PG_VERSION"), "utf8").trim();
  } catch (error) {
    throw new DataDirectoryError(`${path}/PG_VERSION cannot be read`, { cause: error });
  }
}

function explain(path: string, code: string | undefined): string {
  switch (code) {
    case "EEXIST":
    case "ENOTDIR":
      return `${path} is a file, not a data directory; name a directory`;
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return `${path} cannot be written by this user (${code})`;
    default:
      return `${path} cannot be used as a data directory (${code})`;
  }
}

/** Engine: an error of PGlite's file system has a name and a number but no message. */
function describe(cause: unknown): string {
  return cause instanceof Error && cause.message !== ""
    ? cause.message
    : `file system error ${String((cause as { errno?: unknown })?.errno)}`;
}
