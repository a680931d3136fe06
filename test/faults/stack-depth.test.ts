/**
 * Statements that are nested too deeply get PostgreSQL's error, and nothing else happens: the session, its transaction's status
 * and its locks stay.
 *
 * What is expected was compared with PostgreSQL 18. The engines here have half of the stack that a server has: the margin.
 */
import { beforeAll, describe, expect, test } from "vitest";
import { stackMb } from "../../src/sessions/native-stack.ts";
import { deepSetup, deepStatements, nested } from "../support/deep-statements.ts";
import { productServer } from "../support/product-server.ts";
import { errorFields, rows } from "../support/wire-client.ts";

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

describe("nested too deeply", () => {
  // On a busy machine some of these take so long that the watchdog would name them.
  const server = productServer({ engine: { stackSizeMb: stackMb / 2, deafAfterMs: 600_000 } });

  beforeAll(async () => expect(errorFields(await (await server.login()).query(deepSetup))).toBeUndefined());

  test.each(deepStatements)("%s", async (_, sql, code) => {
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
