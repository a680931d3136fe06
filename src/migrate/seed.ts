/**
 * The seed: data that a database gets once, after its migrations.
 *
 * Owns: which kind of seed a file is, and running one of SQL. Does not own: seeds that are code (`code-seed.ts`).
 * Invariant: a seed runs at most once per database and file name, so that a second start on the same data adds nothing;
 * a SQL seed and its record are one transaction.
 */
import { existsSync } from "node:fs";
import { basename, extname, resolve } from "node:path";
import { MigrationError, UsageError } from "../errors.ts";
import type { Log, Progress } from "../options.ts";
import { checkMigration, refuseUndoSection } from "./check-migration.ts";
import { describePlace } from "./describe-place.ts";
import { executeOnLedger, type SqlEngine } from "./migration.ts";
import { isNewSeed, recordInOwnLedger, seedLedger } from "./own-ledger.ts";
import { runTogether } from "./run-migration.ts";
import { SqlFile } from "./sql-file.ts";
import { displayPath } from "./sql-place.ts";

const SQL = /\.sql(\.gz)?$/i;
const MODULE_EXTENSIONS = [".js", ".mjs", ".cjs", ".ts", ".mts", ".cts"];

/** `sql` runs before the server listens; `module` needs a URL to connect to. */
type SeedKind = "sql" | "module";

/** Which kind of seed a file is, by its name. Throws a `UsageError` when it is missing or neither. */
export function seedKind(file: string): SeedKind {
  if (!isSeed(file))
    throw new UsageError(
      `the seed ${file} is neither a .sql file nor a module (${MODULE_EXTENSIONS.join(", ")}) with a default function`,
    );
  if (!existsSync(file)) throw new UsageError(`the seed ${file} does not exist`);
  return SQL.test(file) ? "sql" : "module";
}

/** Whether a file may be a seed, by its name. */
export function isSeed(file: string): boolean {
  return SQL.test(file) || (MODULE_EXTENSIONS.includes(extname(file).toLowerCase()) && !/\.d\.[cm]?ts$/.test(file));
}

/**
 * Applies a SQL seed in one transaction (with the same exceptions as a migration) unless the database has had it.
 * Resolves to whether it ran. Throws a `MigrationError` like a migration's.
 */
export async function applySeed(
  engine: SqlEngine,
  file: string,
  log: Log = () => undefined,
  progress: Progress = () => undefined,
  name: string = basename(file),
): Promise<boolean> {
  const sqlFile = await SqlFile.open(resolve(file));
  const { lf: checksum } = await sqlFile.checksums();
  if (!(await isNewSeed(engine, { name, title: `the seed ${file}` }, checksum, log))) return false;
  const recordSql = recordInOwnLedger(seedLedger, name, checksum);
  const unchecked = { name, file: sqlFile, ledger: seedLedger, recordSql };
  const migration = await checkMigration(unchecked, (chunk) => {
    refuseUndoSection(chunk);
    const { text, statements } = chunk;
    if (!statements.some(({ start, end }) => text.slice(start, end) === "CREATE SCHEMA pglite_devdb")) return;
    throw new MigrationError(
      `${displayPath(sqlFile.path)} is a dump with this program's own ledgers, which are there before a seed.\n` +
        "  hint: pglite-devdb dump --db DIR -- --exclude-schema=pglite_devdb",
    );
  });
  await runTogether(engine, [migration], log, (_, chunk) => progress(`seed: ${describePlace(migration, chunk)}`));
  return true;
}

/** Records a SQL seed that was run by another program. */
export async function recordSeed(engine: SqlEngine, file: string, name: string): Promise<void> {
  const { lf: checksum } = await (await SqlFile.open(resolve(file))).checksums();
  await executeOnLedger(engine, seedLedger, recordInOwnLedger(seedLedger, name, checksum));
}
