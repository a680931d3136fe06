/**
 * What is applied after a migration: all of it with its ledger row, or nothing; and the exceptions that PostgreSQL and
 * the file itself ask for.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import { executeSql } from "../../src/engine/execute-sql.ts";
import { openEngine } from "../../src/engine/kept-engine.ts";
import { addFiles, apply, applyFailing, drizzle, emptyDatabase, plain, rowsOf, tablesOf } from "./fixtures.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await openEngine({ dataDir: "memory://", extensions: [] });
});
afterAll(() => engine?.close());
beforeEach(() => emptyDatabase(engine));

const recorded = () => rowsOf(engine, "SELECT name FROM pglite_devdb.migrations ORDER BY name");

/** Makes the ledger refuse new rows, as the last thing that can go wrong in a migration's transaction. */
async function breakLedger(): Promise<void> {
  await apply(engine, plain({ "0.sql": "" }));
  await executeSql(
    engine,
    "DELETE FROM pglite_devdb.migrations; ALTER TABLE pglite_devdb.migrations ADD CHECK (name = 'none')",
  );
}

describe("in a transaction", () => {
  it("a failing migration leaves nothing half-applied, and those before it stay", async () => {
    const source = plain({
      "1.sql": "create table a (x int primary key);",
      "2.sql": "create table b (x int); insert into a values (1); insert into a values (1); create table c (x int);",
      "3.sql": "create table d (x int);",
    });
    const { message } = await applyFailing(engine, source);
    expect(message).toContain("Nothing of 2.sql was applied.");
    expect(await tablesOf(engine)).toEqual(["a"]);
    expect(await rowsOf(engine, "select * from a")).toEqual([]);
    expect(await recorded()).toEqual(["1.sql"]);

    addFiles(source.directory, { "2.sql": "create table b (x int);" });
    expect((await apply(engine, source)).applied).toEqual(["2.sql", "3.sql"]);
    expect(await tablesOf(engine)).toEqual(["a", "b", "d"]);
  });

  it("a migration that cannot be recorded is not applied", async () => {
    await breakLedger();
    const { message } = await applyFailing(engine, plain({ "1.sql": "create table a (x int);" }));
    expect(message).toContain("while: recording it in pglite_devdb.migrations");
    expect(message).toContain("SQLSTATE 23514");
    expect(await tablesOf(engine)).toEqual([]);
  });

  it("a constraint that fails at the COMMIT undoes the migration", async () => {
    const sql = `create table a (x int primary key);
      create table b (x int references a deferrable initially deferred);
      insert into b values (1);`;
    const { message } = await applyFailing(engine, plain({ "1.sql": sql }));
    expect(message).toMatch(/1\.sql: .*SQLSTATE 23503[\s\S]*while: COMMIT[\s\S]*\(x\)=\(1\)/);
    expect(await tablesOf(engine)).toEqual([]);
    expect(await recorded()).toEqual([]);
  });

  it("savepoints are no transaction control: the file is still one transaction", async () => {
    const sql =
      "savepoint s; create table a (x int); rollback to savepoint s; create table b (x int); release s; select 1/0;";
    const { message, log } = await applyFailing(engine, plain({ "1.sql": sql }));
    expect(message).toContain("SQLSTATE 22012");
    expect(log).toEqual([]);
    expect(await tablesOf(engine)).toEqual([]);
  });

  it("what a file sets for its session does not reach the next file or the clients", async () => {
    const source = plain({
      "1.sql": `create role app; set role app; set search_path = ''; set statement_timeout = '1h'; create temp table t (x int);`,
      "2.sql": "create table a (x int); create temp table t (y int);",
    });
    const session =
      "select current_user, current_setting('search_path'), current_setting('statement_timeout'), to_regclass('t')";
    const before = await rowsOf(engine, session);
    expect((await apply(engine, source)).applied).toEqual(["1.sql", "2.sql"]);
    expect(await tablesOf(engine)).toEqual(["a"]);
    expect(await rowsOf(engine, session)).toEqual(before);
    addFiles(source.directory, { "3.sql": "set search_path = ''; create temp table t (x int); commit; select 1/0;" });
    expect((await applyFailing(engine, source)).message).toContain("22012");
    expect(await rowsOf(engine, session)).toEqual(before);
    await executeSql(engine, "drop role app");
  });
});

describe("where PostgreSQL allows no transaction", () => {
  it.each([
    [
      "CREATE INDEX CONCURRENTLY",
      "create table a (x int); create index concurrently a_x on a (x); insert into a values (1);",
    ],
    ["VACUUM", "create table a (x int); vacuum a;"],
    ["ALTER SYSTEM", "create table a (x int); alter system set work_mem = '5MB'; alter system reset work_mem;"],
    ["CREATE DATABASE", "create table a (x int); create database other; drop database other;"],
    [
      "CALL of a procedure that commits",
      "create table a (x int); create procedure p() language plpgsql as $$ begin commit; end $$; call p();",
    ],
    ["DO with a COMMIT", "create table a (x int); do $$ begin insert into a values (1); commit; end $$;"],
  ])("%s runs statement by statement, and the log says so", async (_command, sql) => {
    const { applied, log } = await apply(engine, plain({ "1.sql": sql }));
    expect(applied).toEqual(["1.sql"]);
    expect(log).toEqual([expect.stringMatching(/1\.sql runs statement by statement, not in one transaction: /)]);
    expect(await tablesOf(engine)).toEqual(["a"]);
    expect(await recorded()).toEqual(["1.sql"]);
  });

  it("a failure there says what stays applied, and the file is not recorded", async () => {
    const sql = "create table a (x int);\nvacuum a;\nselect 1/0;\ncreate table b (x int);";
    const { message } = await applyFailing(engine, plain({ "1.sql": sql }));
    expect(message).toMatch(/1\.sql:3:1: .*\(SQLSTATE 22012\)\n {2}statement:\n {4}select 1\/0\n/);
    expect(message).toContain("The 2 statements before stay applied");
    expect(await tablesOf(engine)).toEqual(["a"]);
    expect(await recorded()).toEqual([]);
  });

  it.each([
    ["a command that runs nowhere within a DO block", "do $$ begin execute 'vacuum'; end $$", "25001"],
    [
      "a COMMIT in a function",
      "create function f() returns int language plpgsql as $$ begin commit; end $$; select f()",
      "2D000",
    ],
    ["SET TRANSACTION after a query", "select 1; set transaction isolation level serializable", "25001"],
  ])("%s is not tried without a transaction", async (_what, sql, sqlState) => {
    const { message, log } = await applyFailing(engine, plain({ "1.sql": `create table a (x int); ${sql};` }));
    expect(message).toContain(`SQLSTATE ${sqlState}`);
    expect(log).toEqual([]);
    expect(await tablesOf(engine)).toEqual([]);
  });
});

describe("a file that sets how it is read", () => {
  it("has its strings with the escapes that it asks for", async () => {
    const sql = String.raw`create table a (x text); set standard_conforming_strings = off; set escape_string_warning = off;
      insert into a values ('1\'; drop table a; --'); set standard_conforming_strings = on; insert into a values ('C:\');`;
    await apply(engine, plain({ "1.sql": sql }));
    expect(await rowsOf(engine, "select x from a order by x")).toEqual(["1'; drop table a; --", "C:\\"]);
  });

  it("has the characters of its encoding, also in a folder of drizzle-kit and in COPY", async () => {
    const set = "set client_encoding = 'LATIN1';\n";
    const latin1 = (sql: string) => Buffer.from(set + sql, "latin1");
    await apply(
      engine,
      drizzle({ "0": latin1("create table a (x text);--> statement-breakpoint\ninsert into a values ('é');") }),
    );
    await apply(engine, plain({ "1.sql": latin1("copy a from stdin with (encoding 'LATIN1');\né\n\\.\n") }));
    expect(await rowsOf(engine, "select x from a")).toEqual(["é", "é"]);
  });
});

describe("a file with transaction control of its own", () => {
  it("within one BEGIN and COMMIT is applied with its ledger row or not at all", async () => {
    await breakLedger();
    const sql = "begin;\ncreate table a (x int);\ncommit;\n";
    expect((await applyFailing(engine, plain({ "1.sql": sql }))).message).toContain("SQLSTATE 23514");
    expect(await tablesOf(engine)).toEqual([]);

    await emptyDatabase(engine);
    const { applied, log } = await apply(engine, plain({ "1.sql": sql }));
    expect(applied).toEqual(["1.sql"]);
    expect(log).toEqual([expect.stringContaining("transaction control of its own")]);
    expect(await tablesOf(engine)).toEqual(["a"]);
    expect(await recorded()).toEqual(["1.sql"]);
  });

  it("without an end of its transaction is refused, and nothing of it is applied", async () => {
    const sql = "create table a (x int);\nbegin; create table b (x int);";
    const { message } = await applyFailing(engine, plain({ "1.sql": sql }));
    expect(message).toMatch(/1\.sql:2:1: .*transaction/);
    expect(await tablesOf(engine)).toEqual([]);
    expect(await recorded()).toEqual([]);
  });

  it("that fails within its BEGIN leaves nothing", async () => {
    const sql = "start transaction; create table a (x int); select 1/0; end;";
    const { message } = await applyFailing(engine, plain({ "1.sql": sql }));
    expect(message).toContain("SQLSTATE 22012");
    expect(await tablesOf(engine)).toEqual([]);
    expect(await recorded()).toEqual([]);
  });

  it("keeps what it committed before a failure, and the error says so", async () => {
    const sql = "begin; create table a (x int); commit; begin; create table b (x int); select 1/0; commit;";
    const { message } = await applyFailing(engine, plain({ "1.sql": sql }));
    expect(message).toContain(
      "What the file itself had committed before this stays applied; the file is not recorded.",
    );
    expect(await tablesOf(engine)).toEqual(["a"]);
    expect(await recorded()).toEqual([]);
  });

  it.each([
    ["statements after its COMMIT", "begin; create table a (x int); commit; create table b (x int);", ["a", "b"]],
    ["a ROLLBACK", "begin; create table a (x int); rollback; create table b (x int);", ["b"]],
    ["a command that allows no transaction", "begin; create table a (x int); commit; vacuum a;", ["a"]],
    [
      "COMMIT AND CHAIN",
      "begin; create table a (x int); commit and chain; create table b (x int); commit;",
      ["a", "b"],
    ],
  ])("with %s is recorded once", async (_what, sql, tables) => {
    expect((await apply(engine, plain({ "1.sql": sql }))).applied).toEqual(["1.sql"]);
    expect(await tablesOf(engine)).toEqual(tables);
    expect(await recorded()).toEqual(["1.sql"]);
  });
});
