/** `pglite-devdb branch diff` on a server that runs, as processes: on PGlite, and on a native PostgreSQL. */
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kinds } from "../../src/dev-db/schema/read.ts";
import { type DevDb, startDevDb } from "../../src/index.ts";
import { at, hasNative, startNative } from "../engines/support/native.ts";
import { runCli } from "../support/cli-process.ts";
import { query } from "../support/query.ts";

const before = `create schema "App"; create table "App"."T t" (id int primary key, note text); create role diff_reader;
  create table people (id bigint generated always as identity primary key, name text, age int, gone int);
  create table swapped (a int, b int); create table counted (n int); insert into counted values (1), (2);
  create view v as select id, name from people; create materialized view mv as select count(*) from people;
  create function f(a int) returns int language sql as 'select
    a + 1'; create type mood as enum ('a', 'b'); create domain d as text check (value <> ''); create type pair as (a int, b text);
  create function trg() returns trigger language plpgsql as 'begin return new; end';
  create trigger t1 before insert on people for each row execute function trg(); create rule ru as on update to v do instead nothing;
  alter table people enable row level security; create policy p on people for select to diff_reader using (name = current_user);
  create statistics st on name, age from people; create operator === (leftarg = int, rightarg = int, function = int4eq);
  create cast (text as pair) with inout as assignment; create text search configuration cfg (copy = english);
  create text search dictionary dict (template = simple); create publication pub for table people (id, name) where (id > 3);
  create foreign data wrapper fw; create server fs foreign data wrapper fw options (host 'x');
  create user mapping for diff_reader server fs options (user 'u', password 'a secret');
  create function etf() returns event_trigger language plpgsql as 'begin end';
  create event trigger et on ddl_command_end when tag in ('CREATE DOMAIN') execute function etf(); create operator family fam using btree`;

/** A change of each kind, and the line that says so. */
const changes: readonly (readonly [sql: string, line: string])[] = [
  ["create schema extra", "+ schema extra"],
  ["alter type mood add value 'c'", "! type public.mood: enum ('a', 'b') -> enum ('a', 'b', 'c')"],
  [
    "create sequence s as int cycle",
    "+ sequence public.s: as integer start 1 increment 1 minvalue 1 maxvalue 2147483647 cache 1 cycle",
  ],
  ["create unlogged table ul ()", "+ table public.ul: unlogged, using heap"],
  [
    "alter table people replica identity full, force row level security",
    "  + using heap, row level security, forced row level security, replica identity full",
  ],
  ["alter table people drop column gone", "- column public.people.gone: integer"],
  [
    "alter table people alter name set storage external, alter name set statistics 77",
    "! column public.people.name: text -> text storage external statistics 77",
  ],
  [
    "alter table people add extra int generated always as (age * 2) stored",
    "+ column public.people.extra: integer generated always as ((age * 2)) stored",
  ],
  [
    "alter table swapped rename a to c; alter table swapped rename b to a; alter table swapped rename c to b",
    "! column order public.swapped: a, b -> b, a",
  ],
  [
    "alter table counted add constraint positive check (n > 0) not valid",
    "+ constraint positive on public.counted: CHECK ((n > 0)) NOT VALID",
  ],
  ["alter domain d set not null", "! type public.d: domain over text -> domain over text not null"],
  [
    'create index on "App"."T t" (note) where id > 3',
    `+ index "App"."T t_note_idx": CREATE INDEX "T t_note_idx" ON "App"."T t" USING btree (note) WHERE (id > 3)`,
  ],
  [
    "cluster people using people_pkey",
    "  + CREATE UNIQUE INDEX people_pkey ON public.people USING btree (id), clustered on",
  ],
  ["create or replace view v as select id, name, age from people", "  +     age"],
  [
    "drop materialized view mv; create materialized view mv as select count(*) from people with no data",
    "  + using heap, not populated",
  ],
  [
    "alter table people disable trigger t1",
    "  + CREATE TRIGGER t1 BEFORE INSERT ON public.people FOR EACH ROW EXECUTE FUNCTION public.trg(), disabled",
  ],
  ["drop rule ru on v", "- rule ru on public.v"],
  ["alter policy p on people to public using (true)", "  + permissive for select to public using (true)"],
  ["alter statistics st set statistics 5", "  + CREATE STATISTICS public.st ON name, age FROM public.people, target 5"],
  [
    "alter event trigger et disable",
    "  + on ddl_command_end when tag in (CREATE DOMAIN) execute public.etf() disabled",
  ],
  ["create extension pg_trgm", "+ extension pg_trgm: version 1.6 in schema public"],
  ["create language lang handler plpgsql_call_handler", "+ language lang: handler plpgsql_call_handler()"],
  [
    "create access method am type table handler heap_tableam_handler",
    "+ access method am: table, handler heap_tableam_handler",
  ],
  ["create or replace function f(a int) returns int language sql as 'select\n    a + 2'", "  +     a + 2$function$"],
  [
    "create aggregate total(int) (sfunc = int4pl, stype = int, initcond = '0')",
    "+ routine public.total(integer): aggregate, kind n, sfunc int4pl(integer,integer), stype integer, initcond '0'",
  ],
  [
    "alter operator === (int, int) set (restrict = eqsel)",
    "  + function int4eq(integer,integer), result boolean, restrict eqsel(internal,oid,internal,integer)",
  ],
  [
    "alter operator family fam using btree add operator 1 < (int, int)",
    "! operator family public.fam USING btree: (nothing) -> operator 1 <(integer,integer)",
  ],
  [
    "create operator class oc for type int using hash as operator 1 =",
    "+ operator class public.oc USING hash: for integer, family public.oc USING hash",
  ],
  ["drop cast (text as pair)", "- cast (pg_catalog.text AS public.pair): by input and output, assignment"],
  [
    "create conversion conv for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8",
    "+ conversion public.conv: LATIN1 to UTF8 by iso8859_1_to_utf8",
  ],
  [
    "create transform for int language sql (from sql with function time_support(internal))",
    "+ transform for integer language sql: from SQL time_support(internal)",
  ],
  ['create collation co from "C"', "+ collation public.co"],
  [
    "create text search parser pa (start = prsd_start, gettoken = prsd_nexttoken, end = prsd_end, lextypes = prsd_lextype)",
    "+ text search parser public.pa: start prsd_start, gettoken prsd_nexttoken, end prsd_end, headline -, lextypes prsd_lextype",
  ],
  [
    "create text search template te (lexize = dsimple_lexize)",
    "+ text search template public.te: init -, lexize dsimple_lexize",
  ],
  [
    "alter text search dictionary dict (accept = false)",
    "! text search dictionary public.dict: template pg_catalog.simple -> template pg_catalog.simple, accept = 'false'",
  ],
  ["alter text search configuration cfg drop mapping for word", "  - word: english_stem"],
  ["alter publication pub set table people", "  + table public.people"],
  [
    "create subscription sub connection '' publication p with (connect = false, slot_name = none)",
    "+ subscription sub: disabled, publications p",
  ],
  ["create foreign data wrapper fw2 options (a 'b')", "+ foreign data wrapper fw2: a=b"],
  ["alter server fs options (set host 'y')", "! foreign server fs: wrapper fw, host=x -> wrapper fw, host=y"],
  [
    "alter user mapping for diff_reader server fs options (drop user)",
    "! user mapping for diff_reader on fs: password=…, user=u -> password=…",
  ],
  ["update pg_database set daticurules = '&a < b' where datname = current_database()", "! database itself"],
  [
    "do $$ begin execute format('alter database %I set work_mem = ''3MB''', current_database()); end $$",
    "+ setting of the database: work_mem=3MB",
  ],
  ["alter table counted owner to diff_reader", "! owner table public.counted: postgres -> diff_reader"],
  ["grant update (age) on people to diff_reader", "+ grant table column public.people.age: diff_reader: UPDATE"],
  [
    "grant usage on schema public to diff_reader with grant option",
    "+ grant schema public: (owner): CREATE, USAGE; diff_reader: USAGE with grant option; public: USAGE",
  ],
  [
    "revoke all on function pg_sleep from public",
    "+ grant function pg_catalog.pg_sleep(double precision): (owner): EXECUTE",
  ],
  [
    "alter default privileges grant select on tables to diff_reader",
    "+ default privileges default acl for role postgres on tables",
  ],
  ["comment on column people.name is 'who'", "+ comment table column public.people.name: who"],
  [
    "insert into pg_seclabel values ('people'::regclass, 'pg_class'::regclass, 0, 'mac', 'top')",
    "+ security label table public.people for mac: top",
  ],
  ["insert into counted values (3)", "! rows of public.counted: 2 -> 3"],
];

/** Statements one after the other in one session. */
async function apply(url: string, ...statements: readonly string[]): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    for (const sql of statements) await client.query(sql);
  } finally {
    await client.end();
  }
}

const servers = [
  {
    name: "PGlite",
    start: () => startDevDb({ port: 0, migrations: "none" }),
    // Not even one that does not connect can be made: the library is not there by which it would.
    lacks: "subscription",
    there: true,
    options: {},
  },
  {
    name: "a native PostgreSQL",
    start: () => startNative(),
    lacks: undefined,
    there: hasNative,
    options: { tags: "long" },
  },
];

for (const { name, start, lacks, there, options } of servers)
  describe.runIf(there)(`on ${name}`, options, () => {
    const made = changes.filter(([sql]) => lacks === undefined || !sql.startsWith(`create ${lacks}`));
    let db: DevDb;
    let url = "";
    beforeAll(async () => {
      db = await start();
      await query(db.url, "create database app");
      url = at(db.url, "app");
      await apply(url, before);
    });
    afterAll(() => db?.close());

    const diff = (...args: readonly string[]) => runCli(["branch", "diff", "--url", url, ...args]);

    test("what was not changed is the same, and every kind of change is said, of both sides", async () => {
      expect(await runCli(["branch", "b", "--url", url])).toMatchObject({ code: 0, stderr: "" });
      expect(await diff("b")).toMatchObject({
        code: 0,
        stderr: "",
        stdout: expect.stringMatching(/^app and app~b have the same schema and as many rows\n# .*\n$/),
      });
      await apply(at(url, "app~b"), ...made.map(([sql]) => sql));
      const there = await diff("b");
      expect(there).toMatchObject({ code: 1, stderr: "" });
      const lines = there.stdout.split("\n");
      expect(lines.slice(0, 2)).toEqual(["--- app", "+++ app~b"]);
      for (const [sql, line] of made)
        expect(
          lines.some((each) => each.startsWith(line)),
          `${sql}: ${line} in\n${there.stdout}`,
        ).toBe(true);
      const seen = kinds.filter(({ kind }) => lines.some((line) => new RegExp(`^[-+!] ${kind} `).test(line)));
      expect(seen).toEqual(kinds.filter(({ kind }) => kind !== lacks));
      expect(there.stdout).not.toContain("a secret");

      // As it is for somebody else, from the other side, and as JSON.
      await query(
        at(url, "app~b"),
        "do $$ begin execute format('alter database %I set quote_all_identifiers = on', current_database()); end $$",
      );
      const back = await diff("app~b", "app", "--output", "json");
      expect(back).toMatchObject({ code: 1, stderr: "" });
      const { schema, rows, ...rest } = JSON.parse(back.stdout);
      expect(rest).toEqual({ before: "app~b", after: "app", same: false });
      expect(schema).toContainEqual({ change: "removed", kind: "schema", name: "extra", before: "" });
      expect(rows).toContainEqual({ table: "public.counted", before: 3, after: 2 });
      expect(rows).toContainEqual({ table: "public.people", before: 0, after: 0 });
      expect(rows).toContainEqual({ table: "public.ul", before: 0 });
      expect(schema.length).toBe(lines.filter((line) => /^[-+!] (?!rows of )/.test(line)).length);
    });

    test("ledgers and what a pattern names are left out, with all that belongs to them", async () => {
      await query(db.url, "create database gate");
      const gate = at(db.url, "gate");
      await apply(gate, "create table kept (n int)");
      expect(await runCli(["branch", "b", "--url", gate])).toMatchObject({ code: 0 });
      await apply(
        at(db.url, "gate~b"),
        "create schema drizzle; create table drizzle.__drizzle_migrations (id serial primary key, hash text)",
        "create table _prisma_migrations (id text primary key); insert into _prisma_migrations values ('one')",
        "create schema pglite_devdb; create table pglite_devdb.migrations (name text)",
        'create table "SequelizeMeta" (name text unique); comment on table "SequelizeMeta" is \'a ledger\'',
      );
      const compare = (...args: readonly string[]) => runCli(["branch", "diff", "--url", gate, "b", ...args]);
      expect(await compare()).toMatchObject({ code: 0, stderr: "", stdout: expect.stringContaining("have the same") });
      const all = await compare("--with-ledgers");
      expect(all.code).toBe(1);
      for (const name of ["__drizzle_migrations", "_prisma_migrations", "pglite_devdb.migrations", "SequelizeMeta"])
        expect(all.stdout).toContain(name);

      await apply(
        at(db.url, "gate~b"),
        "create table scratch_one (id serial primary key, m int check (m > 0)); create index odd on scratch_one (m)",
        "create schema tmp; create table tmp.t (id serial primary key); create view tmp.v as select 1 as one",
        "insert into kept values (1)",
      );
      expect((await compare()).code).toBe(1);
      const rest = await compare("--exclude", "scratch_*", "--exclude", "tmp.*");
      expect(rest.code).toBe(1);
      expect(rest.stdout.split("\n").filter((line) => /^[-+!] /.test(line))).toEqual(["! rows of public.kept: 0 -> 1"]);
      const schema = await compare("--exclude", "public.scratch_one", "--exclude", "tmp.*", "--schema-only");
      expect(schema).toMatchObject({ code: 0, stderr: "", stdout: "gate and gate~b have the same schema\n" });
    });

    test("the column option that a server keeps for itself is no difference", async () => {
      await query(db.url, "create database attver");
      const one = at(db.url, "attver");
      await apply(one, "create table t (n int, m int)");
      expect(await runCli(["branch", "b", "--url", one])).toMatchObject({ code: 0 });
      await apply(
        at(db.url, "attver~b"),
        "update pg_attribute set attoptions = '{pg_attver=7}' where attrelid = 't'::regclass and attnum > 0",
      );
      expect(await runCli(["branch", "diff", "--url", one, "b"])).toMatchObject({ code: 0, stderr: "" });
    });

    test("8,000 tables are compared", { tags: "long" }, async () => {
      await query(db.url, "create database many");
      const many = at(db.url, "many");
      for (let from = 1; from <= 8000; from += 50)
        await apply(
          many,
          `do $$ begin for i in ${from}..${from + 49} loop execute format('create table t%s (id int primary key)', i); end loop; end $$`,
        );
      expect(await runCli(["branch", "diff", "--url", many, "many"])).toMatchObject({ code: 0, stderr: "" });
    });

    test("one who may not read a table is told so, and nothing else changes", async () => {
      await query(db.url, "create role guest login password 'guest'");
      const guest = url.replace(/\/\/.*@/, "//guest:guest@");
      const seen = await runCli(["branch", "diff", "app", "app", "--url", guest, "-o", "json"]);
      expect(seen).toMatchObject({ code: 0, stderr: "" });
      expect(JSON.parse(seen.stdout).rows).toContainEqual({ table: "public.people", before: null, after: null });
    });

    test("what cannot be compared has an exit code of its own", { tags: "long" }, async () => {
      expect(await diff("nowhere")).toMatchObject({
        code: 2,
        stdout: "",
        stderr: `pglite-devdb: there is no database "app~nowhere" or "nowhere"; pglite-devdb branch ls lists the branches\n`,
      });
      expect(await diff()).toMatchObject({ code: 2, stderr: expect.stringContaining("name the branches to compare") });
      expect(await diff("a", "b", "c")).toMatchObject({
        code: 2,
        stderr: expect.stringContaining(`"c" is an argument too many`),
      });
      expect(await diff("b", "-o", "xml")).toMatchObject({
        code: 2,
        stderr: expect.stringContaining(`--output "xml" is not a form`),
      });
      expect(await runCli(["branch", "ls", "-o", "json", "--url", url])).toMatchObject({
        code: 2,
        stderr: expect.stringContaining("--output can be used only with branch diff"),
      });
      const wrong = await runCli(["branch", "diff", "b", "--url", url.replace(/\/\/.*@/, "//nobody:x@")]);
      expect(wrong).toMatchObject({ code: 2, stderr: expect.stringMatching(/(role|user) "nobody"/) });
    });
  });
