/**
 * Branches: databases that are copies of another one and share with it what neither changes.
 *
 * Owns: these types, and how a branch is called: `app~NAME` is a branch of `app`. Does not own: making them (`../thread/database-branches.ts`).
 */
import { randomBytes } from "node:crypto";
import { UsageError } from "../errors.ts";

/** Making and dropping them. */
export interface Branches {
  /** Makes one of a database, under a name or one that is free; resolves with the database's name. */
  create(source: string, name: string | undefined): Promise<string>;
  /** Ends who is connected to it, with 57P01. Nothing happens where there is none. */
  drop(database: string): Promise<void>;
}

/** Startup parameters with which a client has the branch made that it wants to connect to. PostgreSQL takes any name with a dot. */
export const makesBranch = { "pglite_devdb.branch": "on" } as const;

/** What is between a database's name and that of its branch: legal in the path of a URL, and rare in names of databases. */
const separator = "~";
/** NAMEDATALEN without the byte at its end. */
const longestName = 63;
/** name_too_long */
const nameTooLong = "42622";

/** The names of what belongs to one run, on a server that outlives it: the next run drops those of runs that have ended. */
const ofRun = /^run_[0-9a-f]{8}$/;

/** The database of a branch. Throws a `UsageError` for a name that cannot be one. */
export function branchDatabase(source: string, name: string): string {
  if (ofRun.test(name))
    throw new UsageError(
      `${name} cannot be a branch's name: run_ with 8 hexadecimal digits is a run's own database, which goes with that run`,
    );
  return derivedDatabase(source, name);
}

function derivedDatabase(source: string, name: string): string {
  const database = `${source}${separator}${name}`;
  if (!/^[\w.-]+$/.test(name))
    throw new UsageError(`${JSON.stringify(name)} cannot be a branch's name: letters, digits and _ . - can be in it`);
  if (Buffer.byteLength(database) > longestName)
    throw new UsageError(`the database name ${database} is too long: at most ${longestName} bytes`, {
      code: nameTooLong,
    });
  return database;
}

/** What a database is a branch of, and its name there; undefined for one that is none. */
export function readBranch(database: string): { readonly source: string; readonly name: string } | undefined {
  const at = database.lastIndexOf(separator);
  const [source, name] = [database.slice(0, Math.max(at, 0)), database.slice(at + 1)];
  return source && /^[\w.-]+$/.test(name) ? { source, name } : undefined;
}

/** A database that becomes a branch when one is asked for: its name is none of a branch. Undefined where it would be too long for one. */
export function preparedDatabase(source: string, number: number): string | undefined {
  const database = `${source}${separator}ready:${number}`;
  return Buffer.byteLength(database) > longestName ? undefined : database;
}

/** A database for one run, to which nobody connects: branches are copies of it. */
export function runDatabase(source: string): string {
  return derivedDatabase(source, `run_${randomBytes(4).toString("hex")}`);
}

/** What such a database is made beside; undefined for another one. */
export function sourceOfRun(database: string): string | undefined {
  const branch = readBranch(database);
  return branch && ofRun.test(branch.name) ? branch.source : undefined;
}
