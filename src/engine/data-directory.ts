/**
 * The directory of a durable database, before and around its opening.
 *
 * Owns: whether a path can be used, in sentences. Does not own: the files inside (PostgreSQL's), or who else has it open.
 * Invariant: nothing is written into a directory that holds something else than a PostgreSQL data directory.
 */
import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { DataDirectoryError } from "../errors.ts";
import { lockName } from "./directory-lock.ts";
import { initializationName, isInterruptedMove } from "./initialization.ts";

/** The PostgreSQL major version of the pinned PGlite; a data directory belongs to one major version. */
const majorVersion = "18";

/**
 * Makes the directory if it is missing, readable for its owner only, and checks that it is empty or a data directory of
 * this PostgreSQL version, or that nothing but its first start has been here.
 * Engine: PGlite itself would write a new database beside whatever files it finds. Throws a `DataDirectoryError`.
 */
export function prepareDataDirectory(path: string): void {
  let entries: string[];
  try {
    mkdirSync(dirname(path), { recursive: true });
    makeDirectory(path);
    entries = readdirSync(path).filter((name) => !isOurs(name));
  } catch (error) {
    throw new DataDirectoryError(explain(path, (error as NodeJS.ErrnoException).code), { cause: error });
  }
  if (entries.length === 0) return;
  if (!entries.includes("PG_VERSION")) {
    if (isInterruptedMove(path)) return;
    const found = entries.slice(0, 3).join(", ");
    throw new DataDirectoryError(
      `${path} is not a PostgreSQL data directory: it holds other files (${found}); name an empty or a new directory`,
    );
  }
  const version = readVersion(path);
  if (version !== majorVersion) {
    throw new DataDirectoryError(
      `${path} belongs to PostgreSQL ${JSON.stringify(version)}, this server is PostgreSQL ${majorVersion}; dump the data with that version, or name another directory`,
    );
  }
}

/** The error to show when the engine could not open the directory. */
export function describeOpenFailure(path: string, cause: unknown): DataDirectoryError {
  return new DataDirectoryError(
    `${path} cannot be opened as a data directory (${describe(cause)}); it is damaged, or its first start was interrupted: then delete it`,
    { cause },
  );
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
