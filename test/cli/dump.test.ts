/** Dumps, out and in: what comes out again is the same, also by way of a real PostgreSQL. */
import { type StdioOptions, spawnSync } from "node:child_process";
import { existsSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import postgres from "postgres";
import { beforeAll, expect, test } from "vitest";
import { type CliSettings, runCli, startCli, temporaryDirectory } from "../support/cli-process.ts";
import { initializedDirectory, initializeTemplate } from "../support/data-directory.ts";
import { findRealPostgres, howToGetOne, startRealPostgres } from "../support/real-postgres.ts";

const cli = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));

beforeAll(initializeTemplate);

const schema = String.raw`
create schema shop;
create type shop.mood as enum ('glad', 'sad');
create table shop.person (id integer generated always as identity primary key, name text not null unique, mood shop.mood, at timestamptz,
  data jsonb, bin bytea, tags text[], double double precision);
insert into shop.person (name, mood, at, data, bin, tags, double)
  select n || E'\t''\\\n;\\.', 'glad', to_timestamp(n), '{"a": [1, null]}', decode(md5(n::text), 'hex'), array['a', null, '"x"'], n / 7.0
  from generate_series(1, 1200) n;
create view shop.glad as select id from shop.person where mood = 'glad';
create function shop.twice(a int) returns int language plpgsql as $body$ begin return a * 2; end $body$;
create index on shop.person (lower(name));
create sequence shop.numbers start 42;
select nextval('shop.numbers');
comment on table shop.person is 'é ''quoted'' ";';
`;

/** What `pg_dump` 15 of Debian writes, with COPY and \restrict. */
const copied = String.raw`--
-- PostgreSQL database dump
--

\restrict 5x1Q

SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
CREATE TABLE public.pets (
    id integer NOT NULL,
    name text
);
COPY public.pets (id, name) FROM stdin;
1	a;b\tc
2	\N
3	-- \\.
\.


ALTER TABLE ONLY public.pets
    ADD CONSTRAINT pets_pkey PRIMARY KEY (id);
\unrestrict 5x1Q
`;

function quietly([command = "", ...args]: readonly string[]): string[] {
  return [command, "--log-level", "error", ...args];
}

async function run(args: readonly string[], settings: CliSettings = {}): Promise<string> {
  const { code, stdout, stderr } = await runCli(quietly(args), settings);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return stdout;
}

/** A dump without the key that pg_dump makes for each. */
function withoutKey(dump: string): string {
  return dump.replaceAll(/^(\\(?:un)?restrict) .*$/gm, "$1");
}

function withoutVersion(dump: string): string {
  return withoutKey(dump).replace(/version \d+\.\d+ ?\S*$/m, "");
}

function withFile(contents: string): { cwd: string; file: string } {
  const cwd = temporaryDirectory();
  const file = join(cwd, "dump.sql");
  writeFileSync(file, contents);
  return { cwd, file };
}

test("a dump that was restored is the same again, in a directory and in a real PostgreSQL", {
  tags: "long",
}, async (context) => {
  const [one, other] = [initializedDirectory(), initializedDirectory()];
  await run(["restore", withFile(schema).file, "--db", one]);
  const dump = await run(["dump", "--db", one]);
  expect(dump).toContain("CREATE TABLE shop.person");
  const { file } = withFile(dump);
  await run(["restore", file, "--db", other]);
  expect(withoutKey(await run(["dump", "--db", other]))).toBe(withoutKey(dump));
  expect(await run(["dump", "--db", other, "--", "--schema-only", "--table=shop.person"])).not.toContain("INSERT INTO");
  if (!findRealPostgres()) context.skip(howToGetOne);
  const real = await startRealPostgres();
  try {
    const url = `postgresql://postgres@${real.host}:${real.port}/postgres`;
    await run(["restore", file, url]);
    expect(withoutVersion(await run(["dump", url]))).toBe(withoutVersion(dump));
  } finally {
    await real.stop();
  }
});

test("a seed takes COPY with its data, and so does restore on a running server", async () => {
  const { cwd } = withFile(copied);
  const server = startCli(["--port", "0", "-o", "json", "--password", "pw", "--seed", "dump.sql"], { cwd });
  const { url } = JSON.parse((await server.line(/^.*\n/))[0]!);
  const sql = postgres(url, { max: 1 });
  const pets = [
    { id: 1, name: "a;b\tc" },
    { id: 2, name: null },
    { id: 3, name: "-- \\." },
  ];
  expect(await sql`select * from pets order by id`).toEqual(pets);
  const again = await runCli(["restore", "dump.sql", url], { cwd });
  expect([again.code, again.stderr]).toEqual([
    3,
    expect.stringMatching(/dump\.sql:9:1: relation "pets" already exists[\s\S]*Nothing of .*dump\.sql was applied/),
  ]);
  await sql`drop table pets`;
  await run(["restore", "dump.sql", url], { cwd });
  expect(await sql`select * from pets order by id`).toEqual(pets);
  await sql.end();
});

test("a dump with a large object is restored whole or not at all", async () => {
  const [cwd, db] = [temporaryDirectory(), initializedDirectory()];
  const dump = (last: string) => `--
-- PostgreSQL database dump
--

CREATE TABLE public.pets (id integer);
SELECT pg_catalog.lo_create('16999');
BEGIN;

SELECT pg_catalog.lo_open('16999', 131072);
SELECT pg_catalog.lowrite(0, '\\x414243');
SELECT pg_catalog.lo_close(0);

COMMIT;

${last}
`;
  const read = `select to_regclass('public.pets') || ' ' || convert_from(lo_get(16999), 'utf8')`;
  const found = () =>
    run(["run", "--db", db, "--port", "0", "--migrations", "none", "--", "psql", "-Atc", `${read}`], { cwd });
  writeFileSync(join(cwd, "bad.sql"), dump("SELECT 1/0;"));
  writeFileSync(join(cwd, "good.sql"), dump("SELECT 1;"));
  const failed = await runCli(["restore", "--db", db, "bad.sql"], { cwd });
  expect(failed).toMatchObject({
    code: 3,
    stderr: expect.stringMatching(/22012[\s\S]*Nothing of bad\.sql was applied/),
  });
  // Something of the first one would be in the way.
  await run(["restore", "--db", db, "good.sql"], { cwd });
  expect(await found()).toBe("pets ABC\n");
});

test("a restore reads text for a migration tool as text, and a comment as a comment", async () => {
  const db = initializedDirectory();
  const sql = "-- migrate:down\ncreate table a (x text); insert into a values ('\n-- migrate:down\n');\n";
  await run(["restore", withFile(sql).file, "--db", db]);
  const dump = await run(["dump", "--db", db]);
  expect(dump).toContain("\n-- migrate:down\n");
  await run(["restore", withFile(dump).file, "--db", initializedDirectory()]);
});

test("a restore by psql names stdin, and says what a failure leaves", async (context) => {
  if (spawnSync("psql", ["--version"]).status !== 0) context.skip("psql is not installed");
  const db = initializedDirectory();
  const input = "create table a ();\n\\set x 1\nselect 1/0;\n";
  const args = [cli, ...quietly(["restore", "-", "--db", db])];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", input });
  expect([status, stderr]).toEqual([3, expect.stringMatching(/psql:stdin:3: [\s\S]*stays applied/)]);
});

test("what cannot be dumped or restored is said", { tags: "long" }, async () => {
  const db = initializedDirectory();
  const { cwd, file } = withFile("PGDMP\u0001");
  const cases: [string[], number, RegExp][] = [
    [["dump", "nope"], 2, /"nope" is neither the URL of a server nor an option of pg_dump/],
    [["dump", "postgresql://127.0.0.1:1/x"], 2, /could not connect to 127\.0\.0\.1:1/],
    [["dump", "--db", "typo"], 2, /^pglite-devdb: dump: there is no database in .*typo$/m],
    [["dump", "--db", db, "--", "--nope"], 1, /^pglite-devdb: pg_dump: unrecognized option: nope\n {2}hint: /m],
    [["restore", file], 2, /name where to: --db DIR, or the URL of a server/],
    [["restore", "missing.sql", "--db", db], 2, /could not read missing\.sql/],
    [["restore", file, "--db", db], 3, /custom format[\s\S]*pg_restore/],
  ];
  for (const [args, code, said] of cases) {
    const ended = await runCli(quietly(args), { cwd });
    expect([ended.code, ended.stdout, ended.stderr]).toEqual([code, "", expect.stringMatching(said)]);
  }
  expect(existsSync(join(cwd, "typo"))).toBe(false);
});

test.skipIf(!existsSync("/dev/full"))("an output that cannot be written is said", async () => {
  const stdio: StdioOptions = ["ignore", openSync("/dev/full", "w"), "pipe"];
  const { stderr, status } = spawnSync(process.execPath, [cli, "dump", "--migrations", "none"], {
    encoding: "utf8",
    stdio,
  });
  expect([status, stderr]).toEqual([
    1,
    expect.stringMatching(/^pglite-devdb: the output cannot be written: ENOSPC.*$/m),
  ]);
  expect(stderr).not.toMatch(/\n {4}at /);
});
