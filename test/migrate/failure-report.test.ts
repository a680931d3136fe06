/** What a failing file says: the place, the statement and all that PostgreSQL said. */
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import { openEngine } from "../../src/engine/kept-engine.ts";
import { applyMigrations } from "../../src/migrate/index.ts";
import { DatabaseError } from "../../src/wire/query-results.ts";
import { applyFailing, drizzle, emptyDatabase, plain, tablesOf } from "./fixtures.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await openEngine({ dataDir: "memory://", extensions: [] });
});
afterAll(() => engine?.close());
beforeEach(() => emptyDatabase(engine));

async function failureOf(sql: string | Uint8Array): Promise<string> {
  return (await applyFailing(engine, plain({ "0001_users.sql": sql }))).message;
}

it("says file, line, column, message, SQLSTATE, statement and hint", async () => {
  const sql = "create table users (name text);\n\n-- the names\nselect nam\n  from users;\nselect 2;\n";
  const message = await failureOf(sql);
  expect(message.split("\n")[0]).toMatch(/[/\\]0001_users\.sql:4:8: column "nam" does not exist \(SQLSTATE 42703\)$/);
  expect(message.split("\n").slice(1)).toEqual([
    "  statement:",
    "    select nam",
    "      from users",
    '  hint: Perhaps you meant to reference the column "users.name".',
    "  Nothing of 0001_users.sql was applied.",
  ]);
});

it.each([
  ["several statements on one line", "select 1; select 2; selec 3; select 4;", "1:21"],
  ["CRLF line endings", "select 1;\r\n\r\nselect 2,\r\n  nope;\r\n", "4:3"],
  ["CR line endings", "select 1;\rselect nope;", "2:8"],
  ["characters beyond ASCII and beyond 16 bits before it", "select 'é';\nselect '😀😀 ñ', nope;", "2:16"],
  ["a byte order mark", "\ufeffselect nope;", "1:8"],
  ["tabs", "select 1;\n\tselect\tnope;", "2:9"],
  ["comments and quotes with semicolons before it", "/* ; */ select ';' -- ;\n; select $$;$$,\n nope;", "3:2"],
  ["the end of the text", "select 1;\nselect (\n\n", "2:9"],
  ["a quote that never ends", "select 1;\nselect 'a;\n", "2:8"],
  ["the body of a DO block that does not compile", "select 1;\ndo $$\nbegin\n  nonsense here;\nend $$;", "4:3"],
])("points at the right place after %s", async (_what, sql, place) => {
  expect(await failureOf(sql)).toContain(`0001_users.sql:${place}: `);
});

it("names the statement of an error without a position", async () => {
  const sql =
    "create table a (x int primary key);\ninsert into a\n  values (1);\n\n/* again; */\ninsert into a\n  values (1), (2);\n";
  const message = await failureOf(sql);
  expect(message).toMatch(/0001_users\.sql:6:1: duplicate key value .*\(SQLSTATE 23505\)\n/);
  expect(message).toContain(
    "  statement:\n    insert into a\n      values (1), (2)\n  detail: Key (x)=(1) already exists.\n",
  );
});

it("says where in a function an error happened", async () => {
  const message = await failureOf("select 1;\ndo $$ begin\n  perform 1/0;\nend $$;");
  expect(message).toContain("0001_users.sql:2:1: division by zero (SQLSTATE 22012)");
  expect(message).toContain(
    '  where: SQL statement "SELECT 1/0"\n    PL/pgSQL function inline_code_block line 2 at PERFORM',
  );
  expect(await failureOf("do $$ begin execute 'selec 1'; end $$;")).toContain("  query: selec 1\n  where: ");
});

it("shows the first lines of a long statement", async () => {
  const message = await failureOf(`select ${"1,\n".repeat(20)}'${"x".repeat(1000)}',\nnope;`);
  expect(message).toContain("0001_users.sql:22:1: ");
  expect(message).toContain("    … (16 more lines)\n");
  expect((await failureOf(`select '${"x".repeat(1000)}', nope;`)).length).toBeLessThan(500);
});

it("has PostgreSQL's own error as its cause", async () => {
  const failure = applyMigrations(engine, [plain({ "1.sql": "select nope;" })]);
  await expect(failure).rejects.toMatchObject({ exitCode: 3, cause: expect.any(DatabaseError) });
});

it("points into the right chunk and statement of a drizzle file", async () => {
  const { message } = await applyFailing(
    engine,
    drizzle({
      "0000_a": "select 1;--> statement-breakpoint\nselect 2; select 'é',\n nope;--> statement-breakpoint\nselect 3;",
    }),
  );
  expect(message).toContain("0000_a.sql:3:2: ");
  expect(message).toContain("statement:\n    select 'é',\n     nope\n");
});

it.each([
  [
    "create extension vector",
    "npm install --save-dev @electric-sql/pglite-pgvector@0.0.15, and start the server with --extension vector",
  ],
  [
    "create extension postgis",
    "it is neither in PGlite nor in a package that is known here: --extension @scope/package takes any",
  ],
  [
    "create extension pg_stat_statements; select * from pg_stat_statements",
    "PostgreSQL has to have it from its start on: --extension pg_stat_statements",
  ],
])("says what to do about an extension that is not there: %s", async (sql, hint) => {
  expect((await applyFailing(engine, plain({ "1.sql": sql }))).message).toContain(`  hint: ${hint}`);
});

it.each([
  "create table t (); alter table t owner to shop;",
  "create table t (); grant select on t to shop;",
  "alter default privileges grant select on tables to shop;",
])("says what to do about a role that a dump names: %s", async (sql) => {
  const { message } = await applyFailing(engine, plain({ "1.sql": sql }));
  expect(message).toMatch(
    /role "shop" does not exist[\s\S]* {2}hint: .*--no-owner --no-acl.*--user shop or CREATE ROLE/,
  );
});

it("refuses what only psql understands before anything runs", async () => {
  const source = plain({ "1.sql": "create table a (x int);", "2.sql": "select 1 \\gexec" });
  expect((await applyFailing(engine, source)).message).toMatch(/2\.sql:1:10: the psql meta-command \\gexec/);
  expect(await tablesOf(engine)).toEqual([]);
});
