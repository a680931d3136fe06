/** Seeds as a start runs them: several, directories, patterns, scripts of psql; and Prisma's schema in the URL. */
import { spawnSync } from "node:child_process";
import pg from "pg";
import { expect, test } from "vitest";
import { type DevDbOptions, startDevDb } from "../../src/index.ts";
import { folder } from "./fixtures.ts";

const files = {
  "seeds/2_second.sql": "insert into seeded values ('second');",
  "seeds/1_first.sql": "create table seeded (name text); insert into seeded values ('first');",
  "seeds/10_third.mjs": `import pg from "pg";
    export default async (url) => {
      const client = new pg.Client(url);
      await client.connect();
      await client.query("insert into seeded values ('third')");
      await client.end();
    };`,
  "seeds/notes.md": "",
  "more/2_second.sql": "\\ir rows.txt\n",
  "more/rows.txt": "insert into seeded values ('of another folder');",
};

/** The names in the table after a start. */
async function seeded(options: DevDbOptions, log: string[] = []): Promise<unknown[]> {
  const db = await startDevDb({ port: 0, migrations: "none", log: (_, line) => log.push(line), ...options });
  const client = new pg.Client(db.url);
  await client.connect();
  const { rows } = await client.query("select name from seeded order by ctid");
  await client.end();
  await db.close();
  return rows.map(({ name }) => name);
}

test("several seeds run in the order in which they are given, each once", async () => {
  const cwd = folder({ ...files, "a.sql": "select 1;" });
  const seed = ["a.sql", "seeds/1_first.sql", "more/2_second.sql", "seeds/2_second.sql", async () => {}];
  expect(await seeded({ cwd, seed })).toEqual(["first", "of another folder", "second"]);
});

test.each(["seeds", "seeds/*.{sql,mjs}"])("the seeds of %s run in name order", async (seed) => {
  // The module imports pg from beside this file.
  const cwd = folder({
    ...files,
    "seeds/10_third.mjs": files["seeds/10_third.mjs"].replace('"pg"', JSON.stringify(import.meta.resolve("pg"))),
  });
  expect(await seeded({ cwd, seed })).toEqual(["first", "second", "third"]);
});

test("a seed that is not there is refused by option and path before anything starts", async () => {
  const cwd = folder({ "empty/notes.md": "" });
  for (const seed of ["none.sql", "none/*.sql", "empty"]) {
    await expect(startDevDb({ cwd, seed, migrations: "none" })).rejects.toThrow(/^seed in the options: .*(none|empty)/);
  }
});

test("a script with commands of psql's is run by psql, once, and its tables are in the right database", async (context) => {
  if (spawnSync("psql", ["--version"]).status !== 0) context.skip("psql is not installed");
  const script = `create table seeded (name text);
select format('insert into seeded values (%L)', n) from generate_series(1, 2) n \\gexec
\\set name three
insert into seeded values (:'name');`;
  const log: string[] = [];
  expect(await seeded({ cwd: folder({ "s.sql": script }), seed: "s.sql", database: "app" }, log)).toEqual([
    "1",
    "2",
    "three",
  ]);
  expect(log.join("\n")).toMatch(/psql runs it/);
  const failing = folder({ "s.sql": "select 'select 1' \\gexec\nselect nope;" });
  await expect(startDevDb({ cwd: failing, seed: "s.sql", migrations: "none" })).rejects.toThrow(
    /nope[\s\S]*stays applied/,
  );
});

test("a seed with a line of a dump in a string is not refused as a dump", async () => {
  const script = "create table seeded as select '\nCREATE SCHEMA pglite_devdb;\n' as name;";
  expect(await seeded({ cwd: folder({ "s.sql": script }), seed: "s.sql" })).toEqual([
    "\nCREATE SCHEMA pglite_devdb;\n",
  ]);
});

test("the URL names the schema that Prisma's URL has", async () => {
  const cwd = folder({
    "prisma/schema.prisma": 'datasource db { url = env("DATABASE_URL") }',
    "prisma/migrations/1_a/migration.sql": 'CREATE TABLE "a" ();',
    ".env": "DATABASE_URL=postgresql://me@elsewhere/prod?schema=app",
  });
  const { DATABASE_URL: before } = process.env;
  delete process.env.DATABASE_URL;
  const db = await startDevDb({ cwd, port: 0 });
  if (before !== undefined) process.env.DATABASE_URL = before;
  expect(new URL(db.url).searchParams.get("schema")).toBe("app");
  expect(db.env.DATABASE_URL).toBe(db.url);
  const client = new pg.Client(db.url);
  await client.connect();
  expect(
    (await client.query("select schemaname from pg_tables where tablename in ('a', '_prisma_migrations')")).rows,
  ).toEqual([{ schemaname: "app" }, { schemaname: "app" }]);
  await client.end();
  await db.close();
});
