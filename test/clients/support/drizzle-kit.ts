/**
 * drizzle-kit against a server, while other clients query, and what the database is afterwards.
 *
 * Owns: running it, the schema and the ledger as they can be compared. Does not own: the migrations, what is expected.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { expect, onTestFinished } from "vitest";
import journal from "../../../migrations/meta/_journal.json" with { type: "json" };
import { whileBusy } from "./busy-clients.ts";
import { type Run, run } from "./run-program.ts";
import { root, type ServerProcess, startOurs } from "./server-process.ts";

/** The migrations of the example project. */
export const names = journal.entries.map(({ tag }) => tag);

/** A server that ends with the test. */
export async function startServer(args: readonly string[] = []): Promise<ServerProcess> {
  const server = await startOurs(args);
  onTestFinished(() => server.stop());
  return server;
}

/** A path for a data directory, which goes with the test. */
export function dataDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "drizzle-kit-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return join(directory, "data");
}

/**
 * Runs drizzle-kit without a terminal in the checkout, whose drizzle.config.ts takes the URL from the environment, and
 * expects `words` in its output: it ends with 0 after an error too.
 */
export async function drizzleKit(server: ServerProcess, words: string, ...args: string[]): Promise<Run> {
  const program = join(root, "node_modules", "drizzle-kit", "bin.cjs");
  const { result, answers } = await whileBusy(server.url, 3, () =>
    run(process.execPath, [program, ...args], { cwd: root, env: { DATABASE_URL: server.url }, input: "" }),
  );
  expect(result.code, result.all).toBe(0);
  expect(result.stdout).toContain(words);
  expect(answers).toBeGreaterThan(0);
  return result;
}

/** The rows of a statement. */
export async function query(server: ServerProcess, text: string): Promise<Record<string, unknown>[]> {
  const sql = postgres(server.url, { max: 1, onnotice: () => {} });
  try {
    return [...(await sql.unsafe(text))];
  } finally {
    await sql.end({ timeout: 5 });
  }
}

/** Columns, indexes, constraints and enums of the schema `public`, as the catalog spells them. */
export async function schemaOf(server: ServerProcess): Promise<string[]> {
  const rows = await query(
    server,
    `select c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull || ' ' ||
       a.attidentity::text || coalesce(' ' || pg_get_expr(d.adbin, d.adrelid), '') as line
     from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
       left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
     where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
     union all select pg_get_indexdef(indexrelid) from pg_index join pg_class c on c.oid = indrelid
       where c.relnamespace = 'public'::regnamespace
     union all select conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) from pg_constraint
       where connamespace = 'public'::regnamespace
     union all select t.typname || ' ' || string_agg(e.enumlabel, ',' order by e.enumsortorder)
       from pg_enum e join pg_type t on t.oid = e.enumtypid group by t.typname
     order by 1`,
  );
  return rows.map(({ line }) => String(line));
}

/** The triggers by name. */
export const triggers = (server: ServerProcess) =>
  query(server, "select tgname from pg_trigger where not tgisinternal order by 1");
/** What drizzle has noted as applied. */
export const ledger = (server: ServerProcess) =>
  query(server, "select id, hash, created_at from drizzle.__drizzle_migrations order by id");
