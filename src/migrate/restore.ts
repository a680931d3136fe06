/**
 * A dump, run in a database that is there.
 *
 * Owns: the check of what it is. Does not own: where the database is, running it (`run-migration.ts`).
 * Invariant: it is one transaction where PostgreSQL allows it; nothing is recorded.
 */
import { MigrationError } from "../errors.ts";
import type { Log, Progress } from "../options.ts";
import { describePlace } from "./describe-place.ts";
import type { SqlEngine } from "./migration.ts";
import { psqlChunks } from "./psql-file.ts";
import { refuseUnsupported } from "./refuse-unsupported.ts";
import { runTogether } from "./run-migration.ts";
import { displayPath, sha256 } from "./sql-file.ts";

/** The first bytes of pg_dump's custom format. */
const customFormat = "PGDMP";

/** Runs it. Throws a `MigrationError` with file and line. */
export async function restoreSql(
  engine: SqlEngine,
  path: string,
  text: string,
  log: Log,
  progress: Progress,
): Promise<void> {
  if (text.startsWith(customFormat)) {
    throw new MigrationError(
      `${displayPath(path)} is a dump in pg_dump's custom format: load it with pg_restore, or make one with --format=plain`,
    );
  }
  const file = { path, text, checksum: sha256(text) };
  const migration = { name: displayPath(path), file, chunks: psqlChunks(text), ledger: "nothing", recordSql: "" };
  refuseUnsupported(migration);
  await runTogether(engine, [migration], log, (_, chunk) => progress(`restore: ${describePlace(migration, chunk)}`));
}
