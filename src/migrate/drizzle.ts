/**
 * drizzle-kit folders: `meta/_journal.json`, one SQL file per entry, and drizzle-orm's ledger table.
 *
 * Owns: drizzle-orm's rule about what is pending, and its ledger, so that `drizzle-kit migrate` and this project can
 * take turns on a database. Does not own: running the files.
 * Invariant: an entry is pending when its `when` is later than the ledger's latest `created_at`, and nothing else
 * counts: that is what drizzle-orm does, and another rule here would apply what drizzle-kit skips.
 *
 * Mirrors drizzle-orm 0.45 (`migrator.js`, `PgDialect.migrate` in `pg-core/dialect.js`) in all but one thing:
 * drizzle-orm runs all pending entries in one transaction, this project each in its own.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
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

interface JournalEntry {
  readonly tag: string;
  /** Milliseconds since 1970, when the entry was generated. */
  readonly when: number;
}

/** Reads the journal and the ledger, and creates the ledger as drizzle-orm would. */
export async function planDrizzle(engine: SqlEngine, source: DrizzleSource, log: Log): Promise<MigrationPlan> {
  const entries = await readJournal(join(source.directory, "meta", "_journal.json"));
  const ledger = `${quoteIdentifier(source.ledger.schema)}.${quoteIdentifier(source.ledger.table)}`;
  await executeOnLedger(engine, ledger, `CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(source.ledger.schema)}`);
  await executeOnLedger(
    engine,
    ledger,
    `CREATE TABLE IF NOT EXISTS ${ledger} (id SERIAL PRIMARY KEY, hash text NOT NULL, created_at bigint)`,
  );
  const { rows } = await executeOnLedger(
    engine,
    ledger,
    `SELECT created_at, hash FROM ${ledger} ORDER BY created_at DESC`,
  );
  const latest = rows[0] && Number(rows[0][0]);
  const hashes = new Map(rows.map(([createdAt, hash]) => [Number(createdAt), hash]));
  const pending: (Migration & JournalEntry)[] = [];
  for (const entry of entries) {
    const file = await SqlFile.open(join(source.directory, `${entry.tag}.sql`));
    const { bytes: checksum } = await file.checksums();
    if (latest !== undefined && latest >= entry.when) {
      noteDifference({ path: file.path, checksum }, ledger, hashes.get(entry.when), log);
      continue;
    }
    pending.push({
      ...entry,
      name: entry.tag,
      file,
      separator: statementBreakpoint,
      ledger,
      recordSql: `INSERT INTO ${ledger} (hash, created_at) VALUES (${quoteLiteral(checksum)}, ${entry.when})`,
    });
  }
  return { pending: inSafeTransactions(pending), alreadyApplied: entries.length - pending.length };
}

/** Says what drizzle-orm passes over in silence about an entry that is not pending. */
function noteDifference(
  file: { readonly path: string; readonly checksum: string },
  ledger: string,
  hash: string | null | undefined,
  log: Log,
): void {
  const path = displayPath(file.path);
  if (hash === undefined)
    log(
      "info",
      `${path} is not applied: it is older than the newest entry of ${ledger} (drizzle skips it as well); generate it again to apply it`,
    );
  else if (hash !== file.checksum)
    log("info", `${path} was changed after it was applied; drizzle does not apply it again`);
}

/**
 * Groups the entries so that each group can be committed on its own: after a group, no later entry is older than one
 * that is recorded. Merged branches give journals whose times do not rise; with each entry on its own, one that fails
 * there would count as applied at the next start.
 */
export function inSafeTransactions<T extends { when: number }>(pending: readonly T[]): T[][] {
  const groups: T[][] = [];
  let group: T[] = [];
  let latest = Number.NEGATIVE_INFINITY;
  for (const [i, entry] of pending.entries()) {
    group.push(entry);
    latest = Math.max(latest, entry.when);
    if (!pending.slice(i + 1).every(({ when }) => when > latest)) continue;
    groups.push(group);
    group = [];
  }
  return groups;
}

async function readJournal(path: string): Promise<JournalEntry[]> {
  let journal: unknown;
  try {
    journal = JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    throw new MigrationError(`${displayPath(path)} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  const { dialect, entries } = (journal ?? {}) as { dialect?: unknown; entries?: unknown };
  // Journals before drizzle-kit 0.21 say `pg`.
  if (dialect !== undefined && dialect !== "postgresql" && dialect !== "pg")
    throw new MigrationError(`${displayPath(path)} is for the dialect ${JSON.stringify(dialect)}, not for postgresql`);
  if (!Array.isArray(entries) || !entries.every(isJournalEntry))
    throw new MigrationError(`${displayPath(path)} is no drizzle-kit journal: every entry needs "tag" and "when"`);
  return entries;
}

function isJournalEntry(entry: unknown): entry is JournalEntry {
  const { tag, when } = (entry ?? {}) as Partial<JournalEntry>;
  return typeof tag === "string" && Number.isSafeInteger(when);
}
