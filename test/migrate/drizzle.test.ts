/**
 * drizzle-kit folders: the same rule and the same ledger as drizzle-orm's own migrator, which runs here in process on
 * the same PGlite; it is what `drizzle-kit migrate` calls.
 */
import type { PGlite } from "@electric-sql/pglite";
import { readMigrationFiles } from "drizzle-orm/migrator";
import { drizzle as drizzleOrm } from "drizzle-orm/pglite";
import { migrate } from "drizzle-orm/pglite/migrator";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { MigrationSource } from "../../src/migrate/index.ts";
import { SqlFile } from "../../src/migrate/sql-file.ts";
import { createEngine } from "../support/engines.ts";
import {
  addDrizzleFiles,
  addFiles,
  apply,
  applyFailing,
  drizzle,
  emptyDatabase,
  rowsOf,
  tablesOf,
} from "./fixtures.ts";

const EXAMPLE: MigrationSource = {
  kind: "drizzle",
  directory: `${process.cwd()}/migrations`,
  ledger: { schema: "drizzle", table: "__drizzle_migrations" },
};
const LEDGER = "SELECT id, hash, created_at FROM drizzle.__drizzle_migrations ORDER BY id";

let pglite: PGlite;
beforeAll(async () => {
  pglite = await createEngine();
});
afterAll(() => pglite?.close());
beforeEach(() => emptyDatabase(pglite));

const migrateWithDrizzleOrm = (directory: string, settings?: { migrationsSchema: string; migrationsTable: string }) =>
  migrate(drizzleOrm(pglite), { migrationsFolder: directory, ...settings });

/** Everything that a migration of the example makes, as PostgreSQL describes it. */
const SCHEMA = `
  SELECT 'column', table_schema, table_name, column_name, udt_name, is_nullable, column_default
    FROM information_schema.columns WHERE table_schema IN ('public', 'drizzle')
  UNION ALL SELECT 'index', schemaname, tablename, indexname, indexdef, '', '' FROM pg_indexes WHERE schemaname IN ('public', 'drizzle')
  UNION ALL SELECT 'constraint', '', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', '' FROM pg_constraint WHERE connamespace = 'public'::regnamespace
  UNION ALL SELECT 'trigger', '', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid), '', '' FROM pg_trigger WHERE NOT tgisinternal
  UNION ALL SELECT 'enum', '', enumtypid::regtype::text, enumlabel, enumsortorder::text, '', '' FROM pg_enum
  ORDER BY 1, 2, 3, 4, 5`;

describe("the example in migrations/", () => {
  it("gives the same schema and ledger as drizzle-orm's migrator, which then finds nothing to do", async () => {
    const { applied, alreadyApplied, log } = await apply(pglite, EXAMPLE);
    expect(applied).toEqual(["0000_tenants_users_sessions_jobs", "0001_triggers", "0002_job_retries"]);
    expect({ alreadyApplied, log }).toEqual({ alreadyApplied: 0, log: [] });
    const ours = { ledger: await rowsOf(pglite, LEDGER), schema: await rowsOf(pglite, SCHEMA) };
    expect(ours.schema.length).toBeGreaterThan(50);

    await migrateWithDrizzleOrm(EXAMPLE.directory);
    expect(await rowsOf(pglite, LEDGER)).toEqual(ours.ledger);

    await emptyDatabase(pglite);
    await migrateWithDrizzleOrm(EXAMPLE.directory);
    expect({ ledger: await rowsOf(pglite, LEDGER), schema: await rowsOf(pglite, SCHEMA) }).toEqual(ours);
  });

  it("is finished after drizzle-orm's migrator, and after itself", async () => {
    await migrateWithDrizzleOrm(EXAMPLE.directory);
    const ledger = await rowsOf(pglite, LEDGER);
    for (let start = 0; start < 2; start++)
      expect(await apply(pglite, EXAMPLE)).toEqual({ applied: [], alreadyApplied: 3, log: [] });
    expect(await rowsOf(pglite, LEDGER)).toEqual(ledger);
  });

  it("works: the triggers, keys and checks do what they say", async () => {
    await apply(pglite, EXAMPLE);
    const heard: string[] = [];
    await pglite.listen("jobs", (payload) => void heard.push(payload));
    await pglite.exec(
      `INSERT INTO tenants (slug, name, updated_at) VALUES ('acme', 'Acme', '2000-01-01');
       INSERT INTO users (tenant_id, email) SELECT id, 'Ann@acme.test' FROM tenants;
       INSERT INTO sessions (user_id, token_hash, expires_at) SELECT id, 'h', now() + interval '1 day' FROM users;
       INSERT INTO jobs (tenant_id, kind, payload) SELECT id, 'mail', '{"to": "ann"}' FROM tenants;
       UPDATE tenants SET name = 'ACME'`,
    );
    expect(heard).toEqual(["1"]);
    await pglite.unlisten("jobs");
    expect(await rowsOf(pglite, "SELECT updated_at > '2000-01-02', settings FROM tenants")).toEqual(["t|{}"]);
    expect(await rowsOf(pglite, 'SELECT status, attempts FROM jobs WHERE payload @> \'{"to": "ann"}\'')).toEqual([
      "queued|0",
    ]);
    await expect(
      rowsOf(pglite, "INSERT INTO users (tenant_id, email) SELECT id, 'ann@ACME.test' FROM tenants"),
    ).rejects.toThrow(/users_tenant_email_key/);
    expect(await rowsOf(pglite, "DELETE FROM tenants; SELECT count(*) FROM sessions")).toEqual(["0"]);
  });
});

describe("taking turns with drizzle-orm's migrator", () => {
  const files = {
    "0000_a": "create table a (x int);",
    "0001_b": "create table b (x int);",
    "0002_c": "create table c (x int);",
  };
  const firstOf = (count: number) => Object.fromEntries(Object.entries(files).slice(0, count));

  it("each applies what the other has left", async () => {
    const source = drizzle(firstOf(1));
    await migrateWithDrizzleOrm(source.directory);
    addDrizzleFiles(source.directory, firstOf(2));
    expect((await apply(pglite, source)).applied).toEqual(["0001_b"]);
    addDrizzleFiles(source.directory, files);
    await migrateWithDrizzleOrm(source.directory);
    expect(await apply(pglite, source)).toEqual({ applied: [], alreadyApplied: 3, log: [] });
    expect(await tablesOf(pglite)).toEqual(["a", "b", "c"]);
  });

  it("uses the ledger that drizzle.config.ts names", async () => {
    const ledger = { schema: "my schema", table: 'my "ledger"' };
    const source = { ...drizzle(files), ledger };
    expect((await apply(pglite, source)).applied).toHaveLength(3);
    await migrateWithDrizzleOrm(source.directory, { migrationsSchema: ledger.schema, migrationsTable: ledger.table });
    expect(await rowsOf(pglite, `SELECT created_at FROM "my schema"."my ""ledger"""`)).toEqual(["1", "2", "3"]);
  });

  it.each([
    ["an entry older than the newest applied one is passed over", [10, 5, 20], 1],
    ["all entries of a new database are applied, whatever their times", [10, 5, 20], 0],
    ["entries of the same time", [10, 10, 10], 1],
    ["the latest time counts, not the last row", [20, 10, 15], 2],
  ])("%s, as drizzle-orm does it", async (_rule, whens, before) => {
    const source = drizzle(firstOf(before), whens);
    const outcome: string[][] = [];
    for (const migrateRest of [() => migrateWithDrizzleOrm(source.directory), () => apply(pglite, source)]) {
      await emptyDatabase(pglite);
      addDrizzleFiles(source.directory, firstOf(before), whens);
      await migrateWithDrizzleOrm(source.directory);
      addDrizzleFiles(source.directory, files, whens);
      await migrateRest();
      outcome.push([...(await tablesOf(pglite)), ...(await rowsOf(pglite, LEDGER))]);
    }
    expect(outcome[1]).toEqual(outcome[0]);
  });

  it("says what drizzle-orm passes over in silence", async () => {
    const source = drizzle(firstOf(2), [10, 20]);
    await apply(pglite, source);
    addDrizzleFiles(source.directory, { ...files, "0000_a": "create table a (x int, y int);" }, [10, 20, 15]);
    const { applied, log } = await apply(pglite, source);
    expect(applied).toEqual([]);
    expect(log).toEqual([
      expect.stringMatching(/0000_a\.sql was changed after it was applied/),
      expect.stringMatching(/0002_c\.sql is not applied: it is older than the newest entry/),
    ]);
  });

  it.each([
    ["CRLF", "create table a (x int);\r\n--> statement-breakpoint\r\ncreate table b (x int);\r\n"],
    ["statements without a semicolon", "create table a (x int)--> statement-breakpoint\ncreate table b (x int)"],
    ["characters beyond ASCII", "create table a (x text default 'é😀');"],
    ["a byte order mark", "\ufeffcreate table a (x int);"],
    ["no statement", "-- Custom SQL migration file, put your code below! --\n"],
  ])("stores drizzle-orm's hash of a file with %s", async (_what, sql) => {
    const source = drizzle({ "0000_a": sql });
    const [theirs] = readMigrationFiles({ migrationsFolder: source.directory });
    expect((await (await SqlFile.open(`${source.directory}/0000_a.sql`)).checksums()).bytes).toBe(theirs!.hash);
    await apply(pglite, source);
    expect(await rowsOf(pglite, "SELECT hash, created_at FROM drizzle.__drizzle_migrations")).toEqual([
      `${theirs!.hash}|1`,
    ]);
  });
});

describe("a failure", () => {
  it("in a later chunk undoes the earlier chunks of the file, and the files before stay", async () => {
    const source = drizzle({
      "0000_a": "create table a (x int);",
      "0001_b": "create table b (x int);--> statement-breakpoint\nselect 1/0;",
    });
    expect((await applyFailing(pglite, source)).message).toContain("Nothing of 0001_b was applied.");
    expect(await tablesOf(pglite)).toEqual(["a"]);
    expect(await rowsOf(pglite, "SELECT created_at FROM drizzle.__drizzle_migrations")).toEqual(["1"]);
  });

  it("undoes newer entries with an older one that comes after them, which would never be applied else", async () => {
    const files = { "0000_a": "create table a (x int);", "0001_b": "create table b (x int);", "0002_c": "select 1/0;" };
    const source = drizzle(files, [1, 20, 10]);
    expect((await applyFailing(pglite, source)).message).toContain("Nothing of 0001_b, 0002_c was applied.");
    expect(await tablesOf(pglite)).toEqual(["a"]);
    addDrizzleFiles(source.directory, { ...files, "0002_c": "create table c (x int);" }, [1, 20, 10]);
    expect((await apply(pglite, source)).applied).toEqual(["0001_b", "0002_c"]);
  });

  it("such entries are applied one by one when one of them allows no transaction", async () => {
    const files = {
      "0000_a": "create table a (x int);",
      "0001_b": "vacuum a;",
      "0002_c": "begin; create table c (x int); commit;",
    };
    expect((await apply(pglite, drizzle(files, [3, 2, 1]))).applied).toHaveLength(3);
    expect(await rowsOf(pglite, "SELECT created_at FROM drizzle.__drizzle_migrations ORDER BY id")).toEqual([
      "3",
      "2",
      "1",
    ]);
  });

  it.each<[what: string, journal: string, message: RegExp]>([
    ["that is no JSON", "{", /_journal\.json cannot be read: /],
    ["without entries", "{}", /_journal\.json is no drizzle-kit journal/],
    ["with an entry without a time", '{"entries":[{"tag":"0000_a"}]}', /every entry needs "tag" and "when"/],
    ["of another dialect", '{"dialect":"sqlite","entries":[]}', /_journal\.json is for the dialect "sqlite"/],
    ["that names a missing file", '{"entries":[{"tag":"0001_x","when":1}]}', /could not read .*0001_x\.sql/],
  ])("a journal %s is an error that names it", async (_what, journal, message) => {
    const source = drizzle({ "0000_a": "" });
    addFiles(source.directory, { "meta/_journal.json": journal });
    expect((await applyFailing(pglite, source)).message).toMatch(message);
  });

  it("a ledger of another shape is an error that names it", async () => {
    await rowsOf(pglite, "CREATE SCHEMA drizzle; CREATE TABLE drizzle.__drizzle_migrations (x int); SELECT 1");
    expect((await applyFailing(pglite, EXAMPLE)).message).toMatch(
      /the ledger "drizzle"\."__drizzle_migrations" cannot be used: .*42703/,
    );
  });
});

it("a table that is there without a row in the ledger: says what has no row, and how to begin", async () => {
  await pglite.exec("create table people (name text)");
  const source = drizzle({ "0000_people": "create table people (name text)" });
  const { message } = await applyFailing(pglite, source);
  expect(message).toMatch(/42P07.*hint: \S*__drizzle_migrations\S* has no row for 0000_people.*pglite-devdb wipe/s);
});
