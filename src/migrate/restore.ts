/**
 * Runs a dump in an existing database.
 *
 * Owns: the statements of a dump that this server cannot run and leaves out. Does not own: where the database is, the execution (`run-migration.ts`).
 * Invariant: a restore is one transaction where PostgreSQL allows it, and records nothing.
 */
import { executeSql, type SqlEngine } from "../engine/execute-sql.ts";
import type { Log, Progress } from "../options.ts";
import { pastBlanks } from "../sql/tokens.ts";
import { checkMigration } from "./check-migration.ts";
import { describePlace } from "./describe-place.ts";
import { runTogether } from "./run-migration.ts";
import { openSqlBytes } from "./sql-bytes.ts";
import { SqlFile } from "./sql-file.ts";
import { displayPath } from "./sql-place.ts";

/** Runs it; `name`: how messages call the file. Rejects with a `MigrationError` with file and line. */
export async function restoreSql(
  engine: SqlEngine,
  path: string,
  name: string,
  log: Log,
  progress: Progress,
): Promise<void> {
  const compression = await compressionOf(engine);
  const isDump = await isOfPgDump(path, name);
  const leavesOut = (sql: string) => (isDump && isBlobTransaction(sql)) || compression.leavesOut(sql);
  const file = await SqlFile.open(path, { name, leavesOut });
  const unchecked = { name: displayPath(name), file, ledger: "nothing", recordSql: "" };
  // A dump is not a migration: its comments mean nothing to a migration tool.
  const migration = await checkMigration(unchecked, () => undefined);
  if (compression.count > 0)
    log("info", `left out SET COMPRESSION lz4 (${compression.count} ×): this server was built without lz4`);
  await runTogether(engine, [migration], log, (_, chunk) => progress(`restore: ${describePlace(migration, chunk)}`));
}

/** Returns whether pg_dump wrote the file. */
async function isOfPgDump(path: string, name: string): Promise<boolean> {
  const bytes = await openSqlBytes(path, name);
  for await (const piece of bytes.text())
    return /^-- PostgreSQL database dump$/m.test(piece.slice(0, Math.min(1000, pastBlanks(piece, 0))));
  return false;
}

/** pg_dump puts large objects into a transaction (pg_backup_archiver.c, StartRestoreLOs). A restore has one transaction for the whole file. */
function isBlobTransaction(sql: string): boolean {
  return sql === "BEGIN" || sql === "COMMIT";
}

/** pg_dump's statement for the compression of a column (dump_toast_compression), an error without lz4. */
const setsLz4 = /^alter\s+(?:foreign\s+)?table\s.*\sset\s+compression\s+lz4\s*$/is;

async function compressionOf(engine: SqlEngine) {
  const known = "SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression'";
  const [result] = await executeSql(engine, known);
  const hasLz4 = result?.rows[0]?.[0] === "t";
  const found = {
    count: 0,
    leavesOut: (sql: string): boolean => {
      const isLeftOut = !hasLz4 && setsLz4.test(sql);
      if (isLeftOut) found.count++;
      return isLeftOut;
    },
  };
  return found;
}
