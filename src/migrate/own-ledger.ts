/**
 * The ledger of what no other tool keeps a ledger of: plain SQL files and seeds.
 *
 * Owns: the schema `pglite_devdb` and its two tables, which have one row per file with its checksum. Does not own: the
 * order of files, or running them.
 * Invariant: a row is written by the transaction that applies its file.
 */
import { createHash } from "node:crypto";
import type { Log } from "../options.ts";
import { executeOnLedger, type SqlEngine } from "./migration.ts";
import { quoteLiteral } from "./sql-quoting.ts";

/** The two tables: `migrations` for plain SQL files, `seeds` for seed files. */
type OwnLedger = "pglite_devdb.migrations" | "pglite_devdb.seeds";

/** Of the seeds that a database has had. */
export const seedLedger: OwnLedger = "pglite_devdb.seeds";

/** Creates the table when it is not there, and gives the checksums of the applied files by name. */
export async function readOwnLedger(engine: SqlEngine, ledger: OwnLedger): Promise<Map<string, string>> {
  await executeOnLedger(engine, ledger, "CREATE SCHEMA IF NOT EXISTS pglite_devdb");
  await executeOnLedger(
    engine,
    ledger,
    `CREATE TABLE IF NOT EXISTS ${ledger} (
      name text PRIMARY KEY,
      checksum text NOT NULL,
      applied_at timestamptz NOT NULL DEFAULT now()
    )`,
  );
  const { rows } = await executeOnLedger(engine, ledger, `SELECT name, checksum FROM ${ledger} ORDER BY name`);
  return new Map(rows.map(([name, checksum]) => [name!, checksum!]));
}

/** Marks a database as one in which everything is made by this program: it has the table of seeds. */
export async function claimForSeeds(engine: SqlEngine): Promise<void> {
  await readOwnLedger(engine, seedLedger);
}

/** The statement that records a file. */
export function recordInOwnLedger(
  ledger: OwnLedger,
  name: string,
  checksum: string,
  time: "first" | "again" = "first",
): string {
  const [of, to] = [quoteLiteral(name), quoteLiteral(checksum)];
  return time === "first"
    ? `INSERT INTO ${ledger} (name, checksum) VALUES (${of}, ${to})`
    : `UPDATE ${ledger} SET checksum = ${to}, applied_at = now() WHERE name = ${of}`;
}

/** Whether a database has not had a seed yet. The log is told of one that is another one by now. */
export async function isNewSeed(
  engine: SqlEngine,
  { name, title }: { readonly name: string; readonly title: string },
  checksum: string,
  log: Log,
): Promise<boolean> {
  const applied = (await readOwnLedger(engine, seedLedger)).get(name);
  if (applied === undefined) return true;
  if (applied !== checksum)
    log(
      "info",
      `${title} was changed since this database had it; it is not run again (start with a new database, or delete its row in ${seedLedger})`,
    );
  return false;
}

/** SHA-256 of a text with LF line endings, so that a checkout with CRLF is not a change. */
export function ownChecksum(text: string): string {
  return createHash("sha256").update(text.replaceAll("\r\n", "\n")).digest("hex");
}
