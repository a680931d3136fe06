/** `pglite-devdb mcp`, by the official SDK's client: on PGlite, and on a native PostgreSQL. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type DevDb, startDevDb } from "../../src/index.ts";
import { hasNative, startNative } from "../engines/support/native.ts";
import { runCli, temporaryDirectory } from "../support/cli-process.ts";
import { query } from "../support/query.ts";
import { startMcp } from "./support/mcp-client.ts";
import { agentProgram, leftoversSql, spawnAgent } from "./support/mcp-process.ts";

const source = `create table people (id int generated always as identity primary key, name text not null);
  insert into people (name) values ('Ada'), ('Grace'); comment on table people is 'who is here'; create schema app; create table app."Or der" (n int);
  create view names as select name from people; create table part (n int) partition by list (n); create table part1 partition of part for values in (1);
  create type mood as enum ('good'); create sequence free; create materialized view counted as select count(*) from people;
  create table hidden (n int); alter table hidden enable row level security; insert into hidden values (1); revoke all on hidden from public;
  create function powerful(sql text) returns text language plpgsql security definer as 'begin execute sql; return current_user; end';
  create aggregate none_of(*) (sfunc = int8inc, stype = int8, initcond = '0'); create procedure proc() language sql as ''; create domain d as int;
  create function seen() returns event_trigger language plpgsql as 'begin raise exception ''nobody alters anything here''; end';
  create function at_login() returns event_trigger language plpgsql as 'begin end'; create event trigger greets on login execute function at_login();
  alter event trigger greets enable always;
  create event trigger guard on ddl_command_start when tag in ('ALTER TABLE') execute function seen(); select lo_create(1)`;

/** ALTER DATABASE for the one of the session. */
const alterIts = (what: string) =>
  `do $do$ begin execute format($$alter database %I ${what}$$, current_database()); end $do$`;

const servers = [
  {
    name: "PGlite",
    start: () => startDevDb({ port: 0, migrations: "none", password: "a secret" }),
    // What a call of a server's own function is answered with.
    reset: "42501",
    there: true,
    options: {},
  },
  {
    name: "a native PostgreSQL",
    start: () => startNative(),
    reset: "3F000",
    there: hasNative,
    options: { tags: "long" },
  },
];

for (const { name, start, reset, there, options } of servers)
  describe.runIf(there)(`on ${name}`, options, () => {
    let db: DevDb;
    beforeAll(async () => {
      db = await start();
      const client = new pg.Client(db.url);
      await client.connect();
      await client.query(source);
      await client.end();
    });
    afterAll(() => db?.close());

    const leftovers = () => query(db.url, leftoversSql);

    test("a prepared transaction, or a branch that somebody drops, keeps nothing there", { tags: "long" }, async () => {
      const first = await startMcp("--url", db.url);
      // PostgreSQL takes it in a transaction that only reads, too; by default a native one has none.
      const prepared = await first.sql("prepare transaction 'left'");
      expect(prepared).toMatch(/PREPARE TRANSACTION|prepared transactions are disabled/);
      expect(await first.call("reset")).not.toContain("ERROR");
      await first.sql("prepare transaction 'left again'");
      await first.client.close();
      expect(await leftovers()).toEqual([]);
      const second = await startMcp("--url", db.url);
      await second.sql("select 1");
      const [branch] = await query(db.url, "select datname from pg_database where datname like '%mcp%'");
      await query(db.url, `drop database "${branch}" with (force)`);
      expect(await second.sql("select 1")).toContain("is gone");
      await second.client.close();
      expect(await leftovers()).toEqual([]);
    });

    test("who owns a branch cannot keep it: reset makes it anew, and the end drops it", async () => {
      const mcp = await startMcp("--url", db.url, "--write");
      const prepare = "prepare transaction 'kept'";
      const ofRole = "alter role current_user set default_transaction_read_only = on";
      const ofDatabase = "is_template true connection limit 0";
      const tricks = [ofRole, alterIts("set default_transaction_read_only = on"), alterIts(ofDatabase)];
      for (const trick of tricks) {
        await mcp.sql(prepare);
        expect(await mcp.sql(trick), trick).not.toMatch(/ERROR/);
        expect(await mcp.sql("create table t ()"), trick).toMatch(/ERROR/);
        expect(await mcp.call("reset"), trick).toMatch(/is a new copy/);
        expect(await mcp.sql("create table t ()"), trick).toMatch(/CREATE TABLE/);
      }
      await mcp.sql(prepare);
      expect(await mcp.sql(alterIts("is_template true"))).toMatch(/DO/);
      await mcp.client.close();
      await expect.poll(leftovers).toEqual([]);
    });

    test("it can be looked at, and nothing is left when the client closes", async () => {
      const mcp = await startMcp("--url", db.url);
      expect(mcp.client.getServerVersion()).toMatchObject({ name: "pglite-devdb" });
      const { tools } = await mcp.client.listTools();
      expect(tools.map(({ name }) => name)).toEqual(["query", "schema", "explain", "diff", "reset"]);
      expect(await leftovers()).toEqual([]);
      expect(JSON.parse(await mcp.sql("select id, name, null as none from people order by id"))).toEqual({
        columns: ["id", "name", "none"],
        rows: [
          ["1", "Ada", null],
          ["2", "Grace", null],
        ],
        tag: "SELECT 2",
      });
      expect(await mcp.rows("select $1::int + $2::int, $3::text", [1, "2", null])).toEqual([["3", null]]);
      expect(await mcp.rows("select * from hidden")).toEqual([["1"]]);
      expect((await mcp.call("schema")).split("\n")).toContain(
        "table public.people (id integer, name text) -- who is here",
      );
      const described = (await mcp.call("schema", { table: "people" })).split("\n");
      expect(described).toContain("column id integer not null generated always as identity");
      expect(described).toContain("constraint people_pkey PRIMARY KEY (id)");
      expect(await mcp.call("schema", { table: "nothing" })).toMatch(/^ERROR .*"nothing"/);
      expect(await mcp.call("explain", { sql: "select * from people" })).toMatch(/Seq Scan on people/);
      expect(await mcp.call("explain", { sql: "select * from people", analyze: true })).toMatch(/actual time/);
      expect(await mcp.call("explain", { sql: "select * from people where name = $1" })).toMatch(/Filter: .*\$1/);
      expect(await mcp.call("diff")).toBe("the same schema, and as many rows in each table");
      expect(await mcp.sql("select 1/0 as wrong")).toMatch(/^ERROR 22012: /);
      expect(await mcp.sql("select nothing")).toMatch(/^ERROR 42703: .*\nat character: 8/);
      expect(await mcp.call("query", { statement: "select 1" })).toMatch(
        /^ERROR .*"statement".*\bsql\b.*\bparameters\b/,
      );
      expect(await mcp.call("query")).toMatch(/^ERROR sql: /);
      // Between two requests it holds no connection, and it sees what its branch was made of only when it asks for that.
      const connected = "select count(*)::int from pg_stat_activity where application_name = 'pglite-devdb mcp'";
      await expect.poll(() => query(db.url, connected)).toEqual([0]);
      expect((await leftovers()).length).toBe(2);
      await mcp.client.close();
      await expect.poll(leftovers).toEqual([]);
    });

    test("who only reads can do nothing else", async () => {
      const mcp = await startMcp("--url", db.url);
      const file = join(temporaryDirectory(), "escaped");
      const tries: readonly (readonly [sql: string, code: string])[] = [
        ["insert into people (name) values ('x')", "25006"],
        ["commit; drop table people", "42601"],
        ["select 1; select 2", "42601"],
        ["set transaction read write", "25001"],
        ["do $$ begin set transaction read write; drop table people; end $$", "25001"],
        ["do $$ begin commit; drop table people; end $$", "2D000"],
        ["do $$ begin perform set_config('transaction_read_only', 'off', false); delete from people; end $$", "25001"],
        ["do $$ begin set default_transaction_read_only = off; delete from people; end $$", "25006"],
        ["with gone as (delete from people returning 1) select * from gone", "25006"],
        ["select nextval('free')", "25006"],
        ["set session authorization postgres", "42501"],
        ["do $$ begin reset role; reset session authorization; copy (select 1) to program 'true'; end $$", "42501"],
        [`copy (select 1) to program 'touch ${file}'`, "42501"],
        [`copy (select 1) to '${file}'`, "42501"],
        ["copy people from program 'echo 1'", "42501"],
        ["copy people from stdin", "25006"],
        ["select pg_read_file('PG_VERSION')", "42501"],
        ["select lo_import('/etc/passwd')", "42501"],
        ["select * from pg_authid", "42501"],
        [`select powerful('copy (select 1) to program ''touch ${file}''')`, "42501"],
        ["select pglite_devdb.reset()", reset],
        ["alter system set work_mem = '1MB'", "25001"],
        ["create role another superuser", "25006"],
        ["create temp table t (n int)", "25006"],
      ];
      const answers: [string, string][] = [];
      for (const [sql] of tries) answers.push([sql, (await mcp.sql(sql)).slice(0, "ERROR 00000".length)]);
      expect(answers).toEqual(tries.map(([sql, code]) => [sql, `ERROR ${code}`]));
      // What a statement has set, or ended, is nothing to the next one.
      expect(await mcp.sql("commit")).toMatch(/COMMIT/);
      expect(await mcp.sql("set default_transaction_read_only = off")).toMatch(/SET/);
      expect(await mcp.sql("drop table people")).toMatch(/^ERROR 25006/);
      expect(await mcp.call("explain", { sql: "delete from people", analyze: true })).toMatch(/^ERROR 25006/);
      expect(await mcp.call("explain", { sql: "select 1; drop table people" })).toMatch(/^ERROR 42601/);
      expect(await mcp.call("schema", { table: "people'; drop table people; --" })).toMatch(/^ERROR/);
      expect(await mcp.rows("select rolsuper, rolcreaterole from pg_roles where rolname = session_user")).toEqual([
        ["f", "f"],
      ]);
      expect(await mcp.call("diff")).toBe("the same schema, and as many rows in each table");
      expect(existsSync(file)).toBe(false);
    });

    test("with --write it owns its branch and nothing else", async () => {
      const mcp = await startMcp("--url", db.url, "--write");
      const statements = [
        "insert into people (name) values ('Edsger')",
        "alter table people add email text unique",
        "create table app.more (n int)",
        'drop table app."Or der"',
        "create or replace view names as select name, id from people",
        "alter type mood add value 'bad'",
        "select nextval('free')",
        "refresh materialized view counted",
        "insert into part values (1)",
        "alter domain d set default 1",
        "drop aggregate none_of(*)",
        "create schema another",
        "create function f() returns int language sql as 'select 1'",
        "select lo_unlink(1)",
      ];
      for (const sql of statements) {
        // The event trigger of the database is the branch's, too.
        const answer = await mcp.sql(sql);
        if (sql.startsWith("alter table")) expect(answer).toMatch(/^ERROR P0001: nobody alters/);
        else expect(answer, sql).not.toMatch(/^ERROR/);
      }
      expect(await mcp.rows("select current_user = session_user, powerful('select 1') = current_user")).toEqual([
        ["t", "t"],
      ]);
      expect(await mcp.sql("copy people from program 'echo 1'")).toMatch(/^ERROR 42501/);
      expect(await mcp.sql("select lo_import('/etc/passwd')")).toMatch(/^ERROR 42501/);
      expect(await mcp.sql("copy people (name) from stdin")).toMatch(/^ERROR 57014: .*there is no data here/);
      expect(await mcp.call("explain", { sql: "delete from people", analyze: true })).toMatch(/Delete on people/);
      expect(await mcp.rows("select count(*) from people")).toEqual([["3"]]);
      const diff = (await mcp.call("diff")).split("\n");
      expect(diff).toContain("! rows of public.people: 2 -> 3");
      expect(diff).toContain("+ schema another");
      expect(diff.filter((line) => /owner|people/.test(line))).toEqual(["! rows of public.people: 2 -> 3"]);
      expect(await query(db.url, "select name from people order by id")).toEqual(["Ada", "Grace"]);
      // Nor does it have a superuser run what it has written.
      await mcp.sql("create table logins as select ''::text as who where false");
      const greets = "begin insert into public.logins values (current_user); end";
      expect(
        await mcp.sql(`create or replace function at_login() returns event_trigger language plpgsql as '${greets}'`),
      ).not.toMatch(/^ERROR/);
      await mcp.call("diff");
      expect(await mcp.rows("select distinct who = current_user from logins")).toEqual([["t"]]);
      expect(await mcp.call("reset")).toMatch(/is a new copy of the database/);
      expect(await mcp.call("diff")).toBe("the same schema, and as many rows in each table");
      expect(await mcp.sql("insert into people (name) values ('Barbara')")).toMatch(/INSERT 0 1/);
    });

    test("an answer has a limit, and says what was left out", async () => {
      const mcp = await startMcp("--url", db.url);
      const many = await mcp.sql("select n, repeat('x', 100) from generate_series(1, 10000) n");
      expect(many.length).toBeGreaterThan(100_000);
      expect(many.length).toBeLessThanOrEqual(200_000);
      const { rows, cut, tag } = JSON.parse(many);
      expect([cut, tag]).toEqual([
        `${rows.length} of 10000 rows: an answer has 200000 characters at most`,
        "SELECT 10000",
      ]);
      for (const value of ["repeat('y', 400000)", "repeat(chr(1), 400000)"]) {
        const one = await mcp.sql(`select 1, ${value}`);
        expect(one.length).toBeLessThanOrEqual(200_000);
        expect(JSON.parse(one).rows[0][1]).toMatch(/… cut: \d+ of 400000 characters$/);
      }
      const talks = "do $$ begin for i in 1..1000 loop raise notice '%', repeat('z', 5000); end loop; end $$";
      expect((await mcp.sql(talks)).length).toBeLessThan(30_000);
      const fails = await mcp.sql("do $$ begin raise exception '%', repeat('w', 1000000); end $$");
      expect(fails.length).toBeLessThanOrEqual(200_000 + "ERROR ".length);
    });

    test("a statement ends in time, also one that does not want to; the next one is answered, one after the other", async () => {
      const mcp = await startMcp("--url", db.url, "--timeout", "300");
      expect(await mcp.sql("select pg_sleep(100)")).toMatch(/^ERROR 57014/);
      const deaf = `do $$ begin loop begin perform pg_sleep(1000); exception when query_canceled then null; end; end loop; end $$`;
      // Nor does it have to be silent.
      const talks = deaf.replace("perform pg_sleep(1000)", "raise notice 'still here'; perform pg_sleep(0.1)");
      const late = "ERROR the request was not over within 2.3 s, and was ended";
      // No timeout ends a login trigger.
      const writer = await startMcp("--url", db.url, "--timeout", "300", "--write");
      const atLogin = `create or replace function at_login() returns event_trigger language plpgsql as ${talks.slice("do ".length)}`;
      expect(await writer.sql(atLogin)).toMatch(/CREATE FUNCTION/);
      const writerAnswers = Promise.all([writer.sql("select 1"), writer.call("reset"), writer.rows("select 2")]);
      const answers = await Promise.all([
        mcp.sql(deaf),
        mcp.rows("select 1"),
        mcp.sql(talks),
        ...[2, 3].map((n) => mcp.rows(`select ${n}`)),
      ]);
      expect(answers).toEqual([late, [["1"]], late, [["2"]], [["3"]]]);
      expect(await writerAnswers).toEqual([late, expect.stringContaining("is a new copy"), [["2"]]]);
      const busy = "select count(*)::int from pg_stat_activity where usename like 'pglite_devdb_mcp%'";
      await expect.poll(() => query(db.url, busy)).toEqual([0]);
    });

    test("whoever of the two is killed, nothing is left", { tags: "long" }, async () => {
      const agent = spawnAgent(db.url, undefined, [], agentProgram);
      await agent.answered;
      expect((await leftovers()).length).toBe(2);
      agent.child.kill("SIGKILL");
      await expect.poll(leftovers).toEqual([]);

      const ended = await startMcp("--url", db.url);
      await ended.rows("select 1");
      process.kill(ended.pid, "SIGTERM");
      await expect.poll(leftovers).toEqual([]);

      // While it works.
      const busy = await startMcp("--url", db.url);
      await busy.rows("select 1");
      busy.sql("select pg_sleep(100)").catch(() => {});
      const sleeps = "select count(*)::int from pg_stat_activity where query = 'select pg_sleep(100)'";
      await expect.poll(() => query(db.url, sleeps)).toEqual([1]);
      process.kill(busy.pid, "SIGTERM");
      await expect.poll(leftovers).toEqual([]);

      const [killed, lives] = [await startMcp("--url", db.url, "--write"), await startMcp("--url", db.url)];
      await killed.sql(alterIts("is_template true"));
      await lives.rows("select 1");
      process.kill(killed.pid, "SIGKILL");
      expect((await leftovers()).length).toBe(4);
      const next = await startMcp("--url", db.url);
      await next.rows("select 1");
      const left = await leftovers();
      expect(left.map((name) => Number(/mcp_(\d+)_/.exec(String(name))![1])).sort()).toEqual(
        [lives.pid, lives.pid, next.pid, next.pid].sort(),
      );
      await lives.client.close();
      await next.client.close();
      await expect.poll(leftovers).toEqual([]);
    });

    test("--keep: the branch stays, and is its maker's; no role is left", { tags: "long" }, async () => {
      const mcp = await startMcp("--url", db.url, "--write", "--keep");
      await mcp.sql("create table kept as select 7 as n");
      // What it has set for all who connect is not for what is done at its end.
      const [[role]] = (await mcp.rows("select current_user")) as [[string]];
      const all = [
        `set role = ${role}`,
        "is_template true",
        "set statement_timeout = 1",
        "set default_transaction_read_only = on",
      ];
      for (const what of all) expect(await mcp.sql(alterIts(what)), what).toMatch(/DO/);
      await mcp.client.close();
      await expect.poll(mcp.stderr).toMatch(/kept the branch: \S+~mcp_/);
      const [database, ...others] = await leftovers();
      expect(others).toEqual([]);
      const url = new URL(db.url);
      url.pathname = `/${database}`;
      await query(db.url, `alter database "${database}" reset all`);
      expect(
        await query(
          url.href,
          "select n from kept union all select count(*)::int from pg_class where relowner <> current_user::regrole",
        ),
      ).toEqual([7, 0]);
      await query(db.url, `drop database "${database}"`);
    });
  });

test("what cannot be is a sentence", { tags: "long" }, async () => {
  const run = (...args: readonly string[]) => runCli(["mcp", ...args]);
  expect(await run("x")).toMatchObject({ code: 2, stderr: expect.stringContaining(`"x" is an argument too many`) });
  expect(await run("--timeout", "1s")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining(`--timeout "1s" is not`),
  });
  expect(await run("--url", "postgresql://a@b/c", "--db", "x")).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/--db\b.*--url\b/),
  });
  const nobody = await startMcp("--url", "postgresql://postgres@127.0.0.1:1/postgres");
  expect(await nobody.sql("select 1")).toMatch(/^ERROR could not connect to 127.0.0.1:1/);
});
