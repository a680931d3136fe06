/**
 * What the tests of migrations share: folders of files, a clean database, and short questions to it.
 *
 * Owns: temporary directories (removed when the test ends). Does not own: the engine's life.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";
import { executeSql } from "../../src/engine/execute-sql.ts";
import { MigrationError } from "../../src/errors.ts";
import { applyMigrations, type MigrationSource } from "../../src/migrate/index.ts";
import type { DrizzleSource, SqlEngine } from "../../src/migrate/migration.ts";

/** Writes files, by relative path, into a new directory that lives as long as the test. */
export function folder(files: Record<string, string | Uint8Array>): string {
  const directory = mkdtempSync(join(tmpdir(), "pglite-devdb-migrations-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  addFiles(directory, files);
  return directory;
}

/** Writes more files into a directory, or other contents. */
export function addFiles(directory: string, files: Record<string, string | Uint8Array>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), content);
  }
}

/** A folder of plain SQL files as a source. */
export function plain(
  files: Record<string, string | Uint8Array>,
): Extract<MigrationSource, { kind: "plain" | "prisma" }> {
  return { kind: "plain", directory: folder(files) };
}

/** A drizzle-kit folder as a source: SQL by tag, in journal order. `whens` are the entries' times, else 1, 2, 3 … */
export function drizzle(files: Record<string, string | Uint8Array>, whens?: readonly number[]): DrizzleSource {
  const directory = folder({});
  addDrizzleFiles(directory, files, whens);
  return { kind: "drizzle", directory, ledger: { schema: "drizzle", table: "__drizzle_migrations" } };
}

/** Writes a drizzle-kit folder's files and its journal anew. */
export function addDrizzleFiles(
  directory: string,
  files: Record<string, string | Uint8Array>,
  whens?: readonly number[],
): void {
  const tags = Object.keys(files);
  const entries = tags.map((tag, idx) => ({
    idx,
    version: "7",
    when: whens?.[idx] ?? idx + 1,
    tag,
    breakpoints: true,
  }));
  addFiles(directory, {
    ...Object.fromEntries(tags.map((tag) => [`${tag}.sql`, files[tag]!])),
    "meta/_journal.json": JSON.stringify({ version: "7", dialect: "postgresql", entries }),
  });
}

/** Drops everything that a test may have made, so that tests can share an engine. */
export async function emptyDatabase(engine: SqlEngine): Promise<void> {
  const { rows } = (
    await executeSql(
      engine,
      "SELECT quote_ident(nspname) FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema)'",
    )
  ).at(-1)!;
  await executeSql(engine, `DROP SCHEMA ${rows.map(([name]) => name).join(", ")} CASCADE; CREATE SCHEMA public`);
}

/** The rows of a query, each as its values joined by `|` (as `psql -At` prints them). */
export async function rowsOf(engine: SqlEngine, sql: string): Promise<string[]> {
  return (await executeSql(engine, sql)).at(-1)!.rows.map((row) => row.map((value) => value ?? "").join("|"));
}

/** The tables in the schema `public`, in name order. */
export function tablesOf(engine: SqlEngine): Promise<string[]> {
  return rowsOf(engine, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1");
}

/** Applies a source and gives the log beside the result. */
export async function apply(
  engine: SqlEngine,
  source: MigrationSource,
): Promise<{ applied: readonly string[]; alreadyApplied: number; log: string[] }> {
  const log: string[] = [];
  const result = await applyMigrations(engine, [source], (_, line) => log.push(line));
  return { ...result, log };
}

/** Applies a source that must fail; gives the error's message and the log. */
export async function applyFailing(
  engine: SqlEngine,
  source: MigrationSource,
): Promise<{ message: string; log: string[] }> {
  const log: string[] = [];
  const outcome = await applyMigrations(engine, [source], (_, line) => log.push(line)).catch((error: unknown) => error);
  if (!(outcome instanceof MigrationError)) throw new Error(`expected a MigrationError, got ${String(outcome)}`);
  return { message: outcome.message, log };
}
