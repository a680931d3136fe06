/**
 * psql, several at the same time, against one server: its commands, scripts, errors, cursors, large objects.
 *
 * Owns: everything but COPY (psql-copy.long.test.ts).
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { atOnce } from "./support/at-once.ts";
import { majorVersion, requireClient } from "./support/installed.ts";
import { psql, psqlLines } from "./support/psql.ts";
import { type ServerProcess, startOurs } from "./support/server-process.ts";

let directory: string;
let server: ServerProcess;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "psql-"));
  server = await startOurs(["--socket-dir", directory]);
});
afterAll(async () => {
  await server?.stop();
  rmSync(directory, { recursive: true, force: true });
});
beforeEach((context) => requireClient(context, "psql"));
afterEach(() => server.expectHealthy());

/** Writes a script and returns its path. */
function script(name: string, sql: string): string {
  const path = join(directory, name);
  writeFileSync(path, sql);
  return path;
}

const library = `
create type genre as enum ('novel', 'poetry');
create table author (id integer generated always as identity primary key, name text not null unique);
create table book (
  id integer generated always as identity primary key,
  author_id integer not null references author on delete cascade,
  title varchar(80) not null default 'untitled',
  genre genre,
  check (title <> '')
);
create index book_title on book (lower(title));
create view novels as select * from book where genre = 'novel';
insert into author (name) values ('Woolf'), ('Sappho');
`;

test("\\dt, \\d, \\d table, \\dT and \\df show the schema to eight psql at once", async () => {
  await psqlLines(server.url, ["-f", script("library.sql", library)]);
  await atOnce(8, async () => {
    expect(await psqlLines(server.url, ["-c", "\\dt"])).toEqual([
      "public|author|table|postgres",
      "public|book|table|postgres",
    ]);
    expect(await psqlLines(server.url, ["-c", "\\d"])).toEqual([
      "public|author|table|postgres",
      "public|author_id_seq|sequence|postgres",
      "public|book|table|postgres",
      "public|book_id_seq|sequence|postgres",
      "public|novels|view|postgres",
    ]);
    expect(await psqlLines(server.url, ["-P", "tuples_only=off", "-c", "\\d book"])).toEqual([
      'Table "public.book"',
      "Column|Type|Collation|Nullable|Default",
      "id|integer||not null|generated always as identity",
      "author_id|integer||not null|",
      "title|character varying(80)||not null|'untitled'::character varying",
      "genre|genre|||",
      "Indexes:",
      '    "book_pkey" PRIMARY KEY, btree (id)',
      '    "book_title" btree (lower(title::text))',
      "Check constraints:",
      "    \"book_title_check\" CHECK (title::text <> ''::text)",
      "Foreign-key constraints:",
      '    "book_author_id_fkey" FOREIGN KEY (author_id) REFERENCES author(id) ON DELETE CASCADE',
    ]);
    expect(await psqlLines(server.url, ["-c", "\\dT"])).toEqual(["public|genre|"]);
    expect(await psqlLines(server.url, ["-c", "\\df pg_catalog.pi"])).toEqual(["pg_catalog|pi|double precision||func"]);
  });
});

// psql before 17 asks a server from 15 on for pg_database.daticulocale, which PostgreSQL 17 renamed to datlocale: its \l
// fails on every PostgreSQL from 17 on. This is what the \l of psql 18 sends (listAllDbs() in src/bin/psql/describe.c).
const listOfPsql18 = `SELECT
  d.datname as "Name",
  pg_catalog.pg_get_userbyid(d.datdba) as "Owner",
  pg_catalog.pg_encoding_to_char(d.encoding) as "Encoding",
  CASE d.datlocprovider WHEN 'b' THEN 'builtin' WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' END AS "Locale Provider",
  d.datcollate as "Collate",
  d.datctype as "Ctype",
  d.datlocale as "Locale",
  d.daticurules as "ICU Rules",
  CASE WHEN pg_catalog.array_length(d.datacl, 1) = 0 THEN '(none)' ELSE pg_catalog.array_to_string(d.datacl, E'\\n') END AS "Access privileges"
FROM pg_catalog.pg_database d
ORDER BY 1;`;

test("\\l lists the databases: typed into psql from 17 on; from an older psql, the query that psql 18 sends for it", async () => {
  const isOld = majorVersion("psql") < 17;
  const lists = await atOnce(4, () => psqlLines(server.url, ["-c", isOld ? listOfPsql18 : "\\l"]));
  for (const list of lists) {
    const databases = list.filter((line) => line.split("|").length > 1).map((line) => line.split("|").slice(0, 3));
    expect(databases).toContainEqual(["postgres", "postgres", "UTF8"]);
    expect(databases.map(([name]) => name)).toEqual(["postgres", "template0", "template1"]);
  }
});

test("\\l of a psql before 17 gets PostgreSQL's own error for the column that PostgreSQL 17 renamed", async (context) => {
  if (majorVersion("psql") >= 17) context.skip("this psql knows the column by its new name");
  const results = await atOnce(4, () => psql(server.url, ["-c", "\\set VERBOSITY verbose", "-c", "\\l"]));
  for (const result of results) {
    expect(result.code).toBe(1);
    expect(result.stderr).toContain("ERROR:  42703: column d.daticulocale does not exist");
  }
});

test("several -c are one session each, and their transactions do not mix", async () => {
  await psqlLines(server.url, ["-c", "create table tally (psql integer, step integer)"]);
  const answers = await atOnce(8, (index) =>
    psqlLines(server.url, [
      ...["-c", "begin", "-c", `insert into tally values (${index}, 1), (${index}, 2)`],
      ...["-c", `update tally set step = step * 10 where psql = ${index}`],
      ...["-c", `select sum(step) from tally where psql = ${index}`],
      ...["-c", index % 2 === 0 ? "commit" : "rollback"],
      ...["-c", `select count(*), ${index} from tally where psql = ${index}; select 'last'`],
    ]),
  );
  expect(answers).toEqual(answers.map((_, index) => ["30", `${index % 2 === 0 ? 2 : 0}|${index}`, "last"]));
  expect(await psqlLines(server.url, ["-c", "select count(*), sum(step) from tally"])).toEqual(["8|120"]);
});

test("-f runs scripts with variables, conditions, generated statements and -1 as one transaction", async () => {
  const results = await atOnce(6, (index) => {
    const path = script(
      `script-${index}.sql`,
      `create table script_${index} (n integer);
       insert into script_${index} select generate_series(1, 100);
       select count(*) as rows from script_${index} \\gset
       \\if :{?rows}
         select :rows * :factor;
       \\endif
       select format('insert into script_${index} values (%s)', n) from generate_series(1001, 1020) n \\gexec
       do $$ begin for i in 1..5 loop insert into script_${index} values (-i); end loop; end $$;
       select count(*), min(n), max(n) from script_${index};
       ${index % 3 === 2 ? "select 1 / 0;" : ""}`,
    );
    return psql(server.url, ["-1", "-v", `factor=${index}`, "-f", path]);
  });
  for (const [index, result] of results.entries()) {
    expect(result.stdout.trim().split("\n"), result.all).toEqual([`${100 * index}`, "125|-5|1020"]);
    if (index % 3 !== 2) expect(result.code, result.all).toBe(0);
    else expect([result.code, result.stderr]).toEqual([3, expect.stringContaining("division by zero")]);
  }
  expect(await psqlLines(server.url, ["-c", "\\dt script_*"])).toEqual(
    [0, 1, 3, 4].map((index) => `public|script_${index}|table|postgres`),
  );
});

test("an error in a script is told with its place, and the script goes on as with PostgreSQL", async () => {
  const path = script(
    "errors.sql",
    "select 1;\nselect * from nowhere;\nbegin;\nselect 1/0;\nselect 2;\nrollback;\nselect 3;\n",
  );
  const results = await atOnce(6, () => psql(server.url, ["-v", "ON_ERROR_STOP=0", "-f", path]));
  for (const { code, stdout, stderr } of results) {
    expect([code, stdout]).toEqual([0, "1\n3\n"]);
    expect(stderr.replaceAll(path, "errors.sql").trim().split("\n")).toEqual([
      'psql:errors.sql:2: ERROR:  relation "nowhere" does not exist',
      "LINE 1: select * from nowhere;",
      "                      ^",
      "psql:errors.sql:4: ERROR:  division by zero",
      "psql:errors.sql:5: ERROR:  current transaction is aborted, commands ignored until end of transaction block",
    ]);
  }
});

test("FETCH_COUNT reads long results through cursors, four at once", async () => {
  const count = 20_000;
  const results = await atOnce(4, (index) =>
    psqlLines(server.url, [
      ...["-v", "FETCH_COUNT=500"],
      ...["-c", `select n * ${index + 1}, repeat('x', n % 50) from generate_series(1, ${count}) n`],
    ]),
  );
  for (const [index, lines] of results.entries()) {
    expect(lines.length).toBe(count);
    expect(lines.findIndex((line, at) => line !== `${(at + 1) * (index + 1)}|${"x".repeat((at + 1) % 50)}`)).toBe(-1);
  }
});

test("large objects go in and out through function calls, four at once", async () => {
  await atOnce(4, async (index) => {
    const [from, to] = [join(directory, `lo-in-${index}`), join(directory, `lo-out-${index}`)];
    const bytes = Buffer.from(Array.from({ length: 50_000 + index }, (_, at) => (at * (index + 7)) % 251));
    writeFileSync(from, bytes);
    await psqlLines(server.url, ["-c", `\\lo_import ${from}`, "-c", `\\lo_export :LASTOID ${to}`]);
    expect(readFileSync(to).equals(bytes)).toBe(true);
  });
});

test("psql connects over the Unix socket of --socket-dir, by the directory", async () => {
  const where = `host=${directory} port=${server.port} user=postgres dbname=postgres`;
  const answers = await atOnce(8, (index) => psqlLines(where, ["-c", `select ${index} * 3`, "-c", "\\conninfo"]));
  for (const [index, lines] of answers.entries()) {
    expect(lines[0]).toBe(`${index * 3}`);
    expect(lines.join("\n")).toContain(directory);
  }
});

test("psql is told of a database that does not exist", async () => {
  const unknown = await psql(server.url.replace(/\/postgres$/, "/elsewhere"), ["-c", "select 1"]);
  expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringContaining('database "elsewhere" does not exist')]);
});
