/**
 * drizzle-kit 1.0's folders: one directory per migration with `migration.sql` and `snapshot.json`, and drizzle-orm 1.0's ledger.
 *
 * Owns: drizzle-orm 1.0's rule about what is pending, its ledger and the change of an older ledger, so that it and this project can
 * take turns on a database. Does not own: folders with a journal (`drizzle.ts`), running the files.
 * Invariant: a migration is pending when the ledger has no row of its name, and nothing else counts.
 *
 * Mirrors drizzle-orm 1.0.0-rc.5 (`migrator.js`, `migrator.utils.js`, `up-migrations/pg.js`, `migrate` in
 * `pg-core/async/session.js`) in all but one thing: there all pending migrations are one transaction, here each is its own.
 */
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { executeSql } from "../engine/execute-sql.ts";
import { MigrationError } from "../errors.ts";
import type { Log } from "../options.ts";
import {
  type DrizzleSource,
  executeOnLedger,
  type Migration,
  type MigrationPlan,
  type SqlEngine,
  statementBreakpoint,
} from "./migration.ts";
import { SqlFile } from "./sql-file.ts";
import { displayPath } from "./sql-place.ts";
import { quoteIdentifier, quoteLiteral } from "./sql-quoting.ts";

interface Folder {
  readonly name: string;
  readonly file: SqlFile;
  readonly checksum: string;
  /** Milliseconds since 1970: what the first 14 digits of the name say, in UTC. */
  readonly when: number;
}

/** Reads the folders and the ledger, and creates the ledger, or adds to an older one what it lacks, as drizzle-orm would. */
export async function planDrizzleFolders(engine: SqlEngine, source: DrizzleSource, log: Log): Promise<MigrationPlan> {
  const folders = await readFolders(source.directory);
  const schema = quoteIdentifier(source.ledger.schema);
  const ledger = `${schema}.${quoteIdentifier(source.ledger.table)}`;
  await executeOnLedger(engine, ledger, `CREATE SCHEMA IF NOT EXISTS ${schema}`);
  await changeOlderLedger(engine, ledger, folders);
  await executeOnLedger(
    engine,
    ledger,
    `CREATE TABLE IF NOT EXISTS ${ledger} (id SERIAL PRIMARY KEY, hash text NOT NULL, created_at bigint,
      name text, applied_at timestamp with time zone DEFAULT now())`,
  );
  const { rows } = await executeOnLedger(
    engine,
    ledger,
    `SELECT name, hash FROM ${ledger} WHERE name IS NOT NULL ORDER BY id`,
  );
  const hashes = new Map(rows.map(([name, hash]) => [name!, hash]));
  const pending: Migration[] = [];
  for (const { name, file, checksum, when } of folders) {
    const hash = hashes.get(name);
    hashes.delete(name);
    if (hash === undefined) {
      const values = [quoteLiteral(checksum), when, quoteLiteral(name)].join(", ");
      const recordSql = `INSERT INTO ${ledger} (hash, created_at, name) VALUES (${values})`;
      pending.push({ name, file, separator: statementBreakpoint, ledger, recordSql });
    } else if (hash !== checksum)
      log("info", `${displayPath(file.path)} was changed after it was applied; drizzle does not apply it again`);
  }
  for (const name of hashes.keys())
    log("info", `the migration ${name} is applied to the database but missing from ${displayPath(source.directory)}`);
  return { pending: pending.map((migration) => [migration]), alreadyApplied: folders.length - pending.length };
}

/** The migrations in drizzle-orm's order. Throws a `MigrationError` for a name that does not begin with a time. */
async function readFolders(directory: string): Promise<Folder[]> {
  const names = (await readdir(directory)).filter((name) => existsSync(join(directory, name, "migration.sql")));
  return Promise.all(
    names
      .sort((one, other) => one.localeCompare(other))
      .map(async (name) => {
        const path = join(directory, name, "migration.sql");
        const file = await SqlFile.open(path);
        return { name, file, checksum: (await file.checksums()).bytes, when: timeOf(name, path) };
      }),
  );
}

function timeOf(name: string, path: string): number {
  const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)/.exec(name) ?? [];
  if (year === undefined)
    throw new MigrationError(
      `${displayPath(path)}: the name of its folder does not begin with a time, as drizzle-kit makes them (YYYYMMDDhhmmss_name)`,
    );
  return Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second));
}

/** Gives a ledger of drizzle-orm 0.x the names of its migrations, or throws a `MigrationError` when one of them is unknown. */
async function changeOlderLedger(engine: SqlEngine, ledger: string, folders: readonly Folder[]): Promise<void> {
  const table = quoteLiteral(ledger);
  const [, columns] = await executeSql(
    engine,
    `SELECT 1; SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(${table}) AND attnum > 0 AND NOT attisdropped`,
  );
  const names = columns!.rows.map(([name]) => name);
  if (names.length === 0 || names.includes("name")) return;
  const { rows } = await executeOnLedger(engine, ledger, `SELECT id, hash, created_at FROM ${ledger} ORDER BY id`);
  const named = rows.map(([id, hash, createdAt]) => ({ id: id!, folder: folderOf(folders, hash, Number(createdAt)) }));
  const unknown = named.filter(({ folder }) => folder === undefined).map(({ id }) => id);
  if (unknown.length > 0)
    throw new MigrationError(
      `the ledger ${ledger} is one of drizzle-orm 0.x, and its rows with the ids ${unknown.join(", ")} are of no migration in the folder.\n` +
        "  hint: restore the folders of these migrations (drizzle-kit up makes them), or delete the rows",
    );
  const updates = named.map(
    ({ id, folder }) => `UPDATE ${ledger} SET name = ${quoteLiteral(folder!.name)}, applied_at = NULL WHERE id = ${id}`,
  );
  const change = `ALTER TABLE ${ledger} ADD COLUMN IF NOT EXISTS name text,
    ADD COLUMN IF NOT EXISTS applied_at timestamp with time zone DEFAULT now()`;
  // One Query is one transaction.
  await executeOnLedger(engine, ledger, [change, ...updates].join(";\n"));
}

/** A folder has the second in which the entry was generated, the row the millisecond; of several the text decides. */
function folderOf(folders: readonly Folder[], hash: string | null | undefined, createdAt: number): Folder | undefined {
  const second = Math.trunc(createdAt / 1000) * 1000;
  const candidates = folders.filter(({ when }) => when === second);
  if (candidates.length === 1) return candidates[0];
  return (candidates.length > 1 ? candidates : folders).findLast(({ checksum }) => checksum === hash);
}
