/**
 * Prisma folders: one directory per migration with a `migration.sql`, and the ledger `_prisma_migrations`.
 *
 * Owns: Prisma's rules about what is applied, and its ledger, so that `prisma migrate deploy` and this project can take
 * turns on a database. Does not own: running the files.
 * Invariant: nothing is applied while the ledger has a failed migration or an applied one was modified.
 *
 * Mirrors the schema engine of Prisma (prisma-engines: `schema-commands/src/commands/apply_migrations.rs`, the
 * PostgreSQL flavour's `create_migrations_table`, `checksum.rs`). One schema is looked at.
 */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { MigrationError } from "../errors.ts";
import type { Log } from "../options.ts";
import { executeOnLedger, type Migration, type MigrationPlan, type PrismaSource, type SqlEngine } from "./migration.ts";
import { SqlFile } from "./sql-file.ts";
import { displayPath } from "./sql-place.ts";
import { quoteIdentifier, quoteLiteral } from "./sql-quoting.ts";

const createLedger = (ledger: string) => `CREATE TABLE IF NOT EXISTS ${ledger} (
    id                      VARCHAR(36) PRIMARY KEY NOT NULL,
    checksum                VARCHAR(64) NOT NULL,
    finished_at             TIMESTAMPTZ,
    migration_name          VARCHAR(255) NOT NULL,
    logs                    TEXT,
    rolled_back_at          TIMESTAMPTZ,
    started_at              TIMESTAMPTZ NOT NULL DEFAULT now(),
    applied_steps_count     INTEGER NOT NULL DEFAULT 0
)`;

/** Reads the folder and the ledger, and creates the ledger as Prisma would. */
export async function planPrisma(
  engine: SqlEngine,
  { directory, schema }: PrismaSource,
  log: Log,
): Promise<MigrationPlan> {
  const ledger = `${quoteIdentifier(schema)}._prisma_migrations`;
  // As the schema engine connects, which makes the schema if it is missing.
  const prelude = schema === "public" ? undefined : `SET search_path = ${quoteIdentifier(schema)}`;
  if (prelude !== undefined)
    await executeOnLedger(engine, ledger, `CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}`);
  await checkProvider(join(directory, "migration_lock.toml"));
  const migrations = await readMigrations(directory);
  const checksums = await readLedger(engine, ledger);
  const pending: Migration[] = [];
  for (const { name, file } of migrations) {
    const checksum = checksums.get(name);
    if (checksum === undefined)
      pending.push({
        ...{ name, file, ledger, recordSql: recordSql(ledger, name, (await file.checksums()).bytes) },
        ...(prelude === undefined ? {} : { prelude }),
      });
    else if (!Object.values(await file.checksums()).includes(checksum))
      throw new MigrationError(
        `The migration \`${name}\` was modified after it was applied (${displayPath(file.path)}).\n` +
          "  hint: restore the file, and put the change into a new migration",
      );
    checksums.delete(name);
  }
  for (const name of checksums.keys())
    log("info", `the migration \`${name}\` is applied to the database but missing from ${displayPath(directory)}`);
  return { pending: pending.map((migration) => [migration]), alreadyApplied: migrations.length - pending.length };
}

/** The directories in name order, each with its `migration.sql`. */
async function readMigrations(directory: string): Promise<{ name: string; file: SqlFile }[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  const migrations: { name: string; file: SqlFile }[] = [];
  for (const name of names.sort()) {
    const path = join(directory, name, "migration.sql");
    if (!existsSync(path))
      throw new MigrationError(
        `Could not find the migration file at ${displayPath(path)}. Delete the directory or restore the file.`,
      );
    migrations.push({ name, file: await SqlFile.open(path) });
  }
  return migrations;
}

function recordSql(ledger: string, name: string, checksum: string): string {
  const values = [randomUUID(), checksum, name].map(quoteLiteral);
  return `INSERT INTO ${ledger} (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
    VALUES (${values.join(", ")}, now(), clock_timestamp(), 1)`;
}

/** The checksums of the applied migrations by their name. A row that was rolled back does not count. */
async function readLedger(engine: SqlEngine, ledger: string): Promise<Map<string, string>> {
  await executeOnLedger(engine, ledger, createLedger(ledger));
  const { rows } = await executeOnLedger(
    engine,
    ledger,
    `SELECT migration_name, checksum, finished_at, started_at FROM ${ledger}
      WHERE rolled_back_at IS NULL ORDER BY started_at, migration_name`,
  );
  const failed = rows.filter(([, , finishedAt]) => finishedAt === null);
  if (failed.length > 0)
    throw new MigrationError(
      [
        "migrate found failed migrations in the target database, new migrations will not be applied.",
        ...failed.map(([name, , , startedAt]) => `The \`${name}\` migration started at ${startedAt} failed`),
        "  hint: `prisma migrate resolve --rolled-back NAME` or `--applied NAME` tells the ledger how it ended",
      ].join("\n"),
    );
  return new Map(rows.map(([name, checksum]) => [name!, checksum!]));
}

/** Refuses a folder that was written for another database. */
async function checkProvider(lockFile: string): Promise<void> {
  if (!existsSync(lockFile)) return;
  const provider = /^\s*provider\s*=\s*"([^"]*)"/m.exec(await readFile(lockFile, "utf8"))?.[1];
  if (provider !== undefined && provider !== "postgresql" && provider !== "postgres")
    throw new MigrationError(`${displayPath(lockFile)} is for the provider "${provider}", not for "postgresql"`);
}
