/**
 * drizzle-kit against the server, while other clients query: migrate and push, of the example project and of a change.
 *
 * Owns: that drizzle-kit and the server's own migrations agree about what is applied. Does not own: the migrations.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { afterEach, expect, test, vi } from "vitest";
import journal from "../../migrations/meta/_journal.json" with { type: "json" };
import { whileBusy } from "./support/busy-clients.ts";
import { type Run, run } from "./support/run-program.ts";
import { root, type ServerProcess, startOurs } from "./support/server-process.ts";

// Each test starts drizzle-kit and servers several times.
vi.setConfig({ testTimeout: 180_000 });

const names = journal.entries.map(({ tag }) => tag);
const endings: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

async function startServer(args: readonly string[] = []): Promise<ServerProcess> {
  const server = await startOurs(args);
  endings.push(() => server.stop());
  return server;
}

function dataDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "drizzle-kit-"));
  endings.push(() => rmSync(directory, { recursive: true, force: true }));
  return join(directory, "data");
}

/**
 * Runs drizzle-kit without a terminal in the checkout, whose drizzle.config.ts takes the URL from the environment, and
 * expects `words` in its output: it ends with 0 after an error too.
 */
async function drizzleKit(server: ServerProcess, words: string, ...args: string[]): Promise<Run> {
  const program = join(root, "node_modules", "drizzle-kit", "bin.cjs");
  const { result, answers } = await whileBusy(server.url, 3, () =>
    run(process.execPath, [program, ...args], { cwd: root, env: { DATABASE_URL: server.url }, input: "" }),
  );
  expect(result.code, result.all).toBe(0);
  expect(result.stdout).toContain(words);
  expect(answers).toBeGreaterThan(0);
  return result;
}

async function query(server: ServerProcess, text: string): Promise<Record<string, unknown>[]> {
  const sql = postgres(server.url, { max: 1, onnotice: () => {} });
  try {
    return [...(await sql.unsafe(text))];
  } finally {
    await sql.end({ timeout: 5 });
  }
}

/** Columns, indexes, constraints and enums of the schema `public`, as the catalog spells them. */
async function schemaOf(server: ServerProcess): Promise<string[]> {
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

const triggers = (server: ServerProcess) =>
  query(server, "select tgname from pg_trigger where not tgisinternal order by 1");
const ledger = (server: ServerProcess) =>
  query(server, "select id, hash, created_at from drizzle.__drizzle_migrations order by id");

test("drizzle-kit migrate finds nothing to do after the migrations of the start, and push keeps their schema", async () => {
  const server = await startServer(["--migrations", "migrations"]);
  expect(server.migrationsApplied).toEqual(names);
  const before = { ledger: await ledger(server), schema: await schemaOf(server), triggers: await triggers(server) };
  expect([before.ledger.length, before.triggers.length > 0]).toEqual([names.length, true]);
  await drizzleKit(server, "migrations applied successfully", "migrate");
  expect(await ledger(server)).toEqual(before.ledger);
  await drizzleKit(server, "Changes applied", "push", "--force");
  expect({ ledger: await ledger(server), schema: await schemaOf(server), triggers: await triggers(server) }).toEqual(
    before,
  );
});

test("a start finds nothing to do after drizzle-kit migrate, and push into an empty database makes the same schema", async () => {
  const db = dataDirectory();
  const migrated = await startServer(["--db", db]);
  expect(migrated.migrationsApplied).toEqual([]);
  await drizzleKit(migrated, "migrations applied successfully", "migrate");
  const made = { ledger: await ledger(migrated), schema: await schemaOf(migrated) };
  expect(made.ledger.length).toBe(names.length);
  await drizzleKit(migrated, "migrations applied successfully", "migrate");
  expect(await ledger(migrated)).toEqual(made.ledger);
  await migrated.stop();

  const again = await startServer(["--db", db, "--migrations", "migrations"]);
  expect(again.migrationsApplied).toEqual([]);
  expect({ ledger: await ledger(again), schema: await schemaOf(again) }).toEqual(made);
  await again.stop();

  const pushed = await startServer();
  await drizzleKit(pushed, "Changes applied", "push", "--force");
  expect(await schemaOf(pushed)).toEqual(made.schema);
});

test("drizzle-kit push carries a changed schema into tables with rows, and back", async () => {
  const server = await startServer();
  const push = (schema: string, words = "Changes applied") =>
    drizzleKit(
      server,
      words,
      ...["push", "--force", "--dialect", "postgresql", "--url", server.url],
      ...["--schema", `./test/clients/programs/${schema}.ts`],
    );
  await push("drizzle-before");
  const schemaBefore = await schemaOf(server);
  await query(server, "insert into parcels (label, size, remark) values ('a', 'small', 'x'), ('b', 'large', null)");
  await push("drizzle-after");
  expect(await query(server, "select * from parcels order by id")).toEqual([
    { id: 1, label: "a", size: "small", remark: "x", depot_id: null, weight: 7 },
    { id: 2, label: "b", size: "large", remark: null, depot_id: null, weight: 7 },
  ]);
  const schema = await schemaOf(server);
  expect(schema).toContain("size small,medium,large");
  expect(schema).toContain("CREATE INDEX parcels_label_idx ON public.parcels USING btree (label)");
  expect(schema).toContain("depots depots_pkey PRIMARY KEY (id)");
  await push("drizzle-after", "No changes detected");
  expect(await schemaOf(server)).toEqual(schema);
  await push("drizzle-before");
  expect(await schemaOf(server)).toEqual(schemaBefore);
  expect(await query(server, "select * from parcels order by id")).toEqual([
    { id: 1, label: "a", size: "small", remark: "x" },
    { id: 2, label: "b", size: "large", remark: null },
  ]);
});
