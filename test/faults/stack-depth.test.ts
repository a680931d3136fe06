/**
 * Statements that are nested too deeply get PostgreSQL's error, and nothing else happens: the session, its transaction's status
 * and its locks stay.
 *
 * What is expected was compared with PostgreSQL 18. The engines here have half of the stack that a server has: the margin.
 */
import { beforeAll, expect, test } from "vitest";
import { stackMb } from "../../src/sessions/native-stack.ts";
import { describeSessions, productServer } from "../support/product-server.ts";
import { errorFields, rows } from "../support/wire-client.ts";

/** What stands before, the same thing many times, and what stands behind. */
const nested = (times: number, before: string, inner: string, behind = "") =>
  `select ${before.repeat(times)}${inner}${behind.repeat(times)}`;

const setup = `
set check_function_bodies = off;
create function recurs_in_plpgsql(i int) returns int language plpgsql as 'begin return recurs_in_plpgsql(i + 1); end';
create function recurs_in_block(i int) returns int language plpgsql as
  'begin return recurs_in_block(i + 1); exception when division_by_zero then return 1; end';
create function recurs_in_sql(i int) returns int volatile language sql as 'select recurs_in_sql(i + 1) limit 1';
create function inlined(i int) returns int language sql as 'select inlined(i + 1)';
create table triggering (n int);
create function triggers_itself() returns trigger language plpgsql as
  'begin insert into triggering values (new.n + 1); return new; end';
create trigger again before insert on triggering for each row execute function triggers_itself();
create function runs_itself() returns void language plpgsql as $$begin execute 'select runs_itself()'; end$$;
create table bottom (n int);
create view view_0 as select * from bottom;
do $$begin for i in 1..250 loop
  execute format('create view view_%s as select * from view_%s', i, i - 1);
end loop; end$$;
create rule again as on insert to bottom do also delete from bottom where n = 0`;

const statements: readonly (readonly [name: string, sql: string, code: string])[] = [
  ["JSON arrays, binary", "select repeat('[', 1000000)::jsonb", "54001"],
  ["JSON arrays, as text", "select repeat('[', 1000000)::json", "54001"],
  ["JSON objects", `select repeat('{"a":', 1000000)::jsonb`, "54001"],
  ["a long regular expression", "select '' ~ repeat('x', 100000)", "2201B"],
  ["groups in a regular expression", "select '' ~ (repeat('(', 50000) || repeat(')', 50000))", "2201B"],
  ["a LIKE of many parts", "select repeat('a', 100000) like repeat('%a', 50000) || 'b'", "54001"],
  ["sums", nested(10_000, "", "1", "+1"), "54001"],
  ["many more sums", nested(100_000, "", "1", "+1"), "54001"],
  ["concatenations", nested(10_000, "", "'a'", "||'a'"), "54001"],
  ["casts", nested(8000, "", "1", "::int::text"), "54001"],
  ["calls", nested(4900, "abs(", "1", ")"), "54001"],
  ["unions", nested(20_000, "", "1", " union all select 1"), "54001"],
  ["parentheses", nested(50_000, "(", "1", ")"), "42601"],
  ["negations", nested(50_000, "not ", "true"), "42601"],
  ["subselects", nested(5000, "(select ", "1", ")"), "42601"],
  ["arrays", nested(10_000, "array[", "1", "]"), "42601"],
  ["rows", nested(10_000, "row(", "1", ")"), "42601"],
  ["CASE", nested(10_000, "case when true then ", "1", " end"), "42601"],
  ["parentheses in a JSON path", "select (repeat('(', 10000) || '1' || repeat(')', 10000))::jsonpath", "42601"],
  ["parentheses in a tsquery", "select (repeat('(', 100000) || 'a' || repeat(')', 100000))::tsquery", "54001"],
  ["a long tsquery", "select ('a' || repeat('&a', 30000))::tsquery", "54001"],
  ["XML", "select xmlparse(content repeat('<a>', 100000))", "2200N"],
  ["PL/pgSQL", "select recurs_in_plpgsql(1)", "54001"],
  ["PL/pgSQL with a handler", "select recurs_in_block(1)", "54001"],
  ["EXECUTE", "select runs_itself()", "54001"],
  ["SQL functions", "select recurs_in_sql(1)", "54001"],
  ["SQL functions that are inlined", "select inlined(1)", "54001"],
  ["triggers", "insert into triggering values (1)", "54001"],
  ["an expression in PL/pgSQL", `do $$ declare n int; begin n := 1${"+1".repeat(9000)}; end $$`, "54001"],
];

/** As deep as that PostgreSQL takes it. */
const accepted: readonly (readonly [name: string, sql: string])[] = [
  ["JSON arrays", "select (repeat('[', 6000) || repeat(']', 6000))::jsonb is null"],
  ["sums", nested(3000, "", "1", "+1")],
  ["random numbers, which are not evaluated by the planner", `explain ${nested(3000, "", "1", "+random()")}`],
  ["unions", nested(5000, "", "1", " union all select 1")],
  ["views over views", "select * from view_250"],
  ["a regular expression of many branches", "select 'x' ~ repeat('x|', 50000)"],
  ["PL/pgSQL", "select 1; do $$ begin perform set_config('a.b', repeat('x', 10), false); end $$"],
];

describeSessions("%s sessions: nested too deeply", (sessions) => {
  // On a busy machine some of these take so long that the watchdog would name them.
  const server = productServer({ sessions, engine: { stackSizeMb: stackMb / 2, deafAfterMs: 600_000 } });

  beforeAll(async () => expect(errorFields(await (await server.login()).query(setup))).toBeUndefined());

  test.each(statements)("%s", async (_, sql, code) => {
    server.log.length = 0;
    const client = await server.login();
    await client.query("select pg_advisory_lock(7), set_config('mine.kept', 'yes', false)");
    await client.query("begin; create table undone (n int); savepoint s");
    const answer = await client.query(sql);
    expect([...(errorFields(answer) ?? [])].filter(([field]) => "SC".includes(field))).toEqual([
      ["S", "ERROR"],
      ["C", code],
    ]);
    expect(answer.at(-1)?.body.toString()).toBe("E");
    await client.query("rollback to s");
    const state = `select current_setting('mine.kept'), to_regclass('undone'),
      (select count(*) from pg_locks where locktype = 'advisory' and objid = 7)`;
    expect(rows(await client.query(state))).toEqual([["yes", "undone", "1"]]);
    await client.query("rollback; select pg_advisory_unlock(7)");
    expect(server.log).toEqual([]);
  });

  test.each(accepted)("but not so deeply: %s", async (_, sql) => {
    server.log.length = 0;
    const client = await server.login();
    const answer = await client.query(sql);
    expect(errorFields(answer)).toBeUndefined();
    expect(server.log).toEqual([]);
  });
});
