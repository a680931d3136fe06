/** What processes share in an operating system and the sessions must share here, or refuse. */
import { pg_trgm } from "@electric-sql/pglite/contrib/pg_trgm";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { SessionHost } from "../../../src/sessions/host.ts";
import { openHost } from "./support/open-host.ts";
import { SqlSession } from "./support/sql-session.ts";

let host: SessionHost;
let a: SqlSession;
let b: SqlSession;

beforeAll(async () => {
  host = await openHost({
    dataDir: "memory://",
    maxSessions: 12,
    extensions: { pg_trgm },
  });
  [a, b] = [await SqlSession.open(host), await SqlSession.open(host)];
});
afterAll(() => host?.close());

test("an extension that is created in one session works in all, also in those that were open", async () => {
  await a.rows("create extension pg_trgm");
  const c = await SqlSession.open(host);
  for (const session of [a, b, c])
    expect(await session.rows("select show_limit(), similarity('abc', 'abd') > 0.1")).toEqual(["0.3|t"]);
  await b.rows("select set_limit(0.7)");
  expect(await a.rows("select show_limit()")).toEqual(["0.3"]);
  await c.close();
});

test("a library that was not there at the start is there for all, with variables of each session's own", async () => {
  const threshold = "show auto_explain.log_min_duration";
  await a.rows("load 'auto_explain'");
  await a.rows("set auto_explain.log_min_duration = 5000");
  await b.rows("load 'auto_explain'");
  expect(await b.rows(threshold)).toEqual(["-1"]);
  await b.rows("set auto_explain.log_min_duration = 7000");
  const c = await SqlSession.open(host);
  await c.rows("load 'auto_explain'");
  expect([await a.rows(threshold), await b.rows(threshold), await c.rows(threshold)]).toEqual([["5s"], ["7s"], ["-1"]]);
  await c.close();
});

test("a library that lacks a function of PostgreSQL's is an error of the statement, and the session goes on", async () => {
  for (const session of [a, b]) {
    const refused = await session.query("select convert_to('abc', 'BIG5')");
    expect(refused.error).toBe("0A000");
    expect(await session.rows("select 1")).toEqual(["1"]);
  }
});

test("statistics of hundreds of tables lie in shared memory, where all sessions see them", async () => {
  expect(await a.rows("show dynamic_shared_memory_type")).toEqual(["posix"]);
  const each = (statement: string) =>
    `do $$ begin for i in 1..400 loop execute format('${statement}', i); end loop; end $$`;
  await a.rows(each("create table s%s (x int primary key)"));
  for (const session of [a, b]) await session.rows(each("insert into s%s values (pg_backend_pid())"));
  expect(await b.rows("select count(*) from pg_stat_user_tables where relname like 's%'")).toEqual(["400"]);
});

test("dynamic shared memory that would not be shared is refused, and does not end the process", async () => {
  // PGlite's own process has used it up before the first session starts.
  const settings = { min_dynamic_shared_memory: "1MB" };
  const opening = openHost({ dataDir: "memory://", maxSessions: 2, settings });
  await expect(opening).rejects.toThrow(/could not open shared memory segment|out of memory|no space/i);
});

test("DROP DATABASE and DROP TABLESPACE get past the barrier with idle and parked sessions open", async () => {
  const parked = await b.startsWaiting("select pg_sleep(1000)");
  await a.rows("create database dropped");
  await a.rows("drop database dropped");
  expect(await a.rows("select count(*) from pg_database where datname = 'dropped'")).toEqual(["0"]);
  expect(host.scheduler.isParked(b.session)).toBe(true);
  host.cancel(b.session);
  expect((await parked.answer).error).toBe("57014");
});

test("pg_reload_conf reaches every session", async () => {
  await a.rows("alter system set work_mem = '6MB'");
  await a.rows("select pg_reload_conf()");
  const later = await SqlSession.open(host);
  for (const session of [a, b, later]) expect(await session.rows("show work_mem")).toEqual(["6MB"]);
  await a.rows("alter system reset work_mem");
  await a.rows("select pg_reload_conf()");
  for (const session of [a, later]) expect(await session.rows("show work_mem")).toEqual(["4MB"]);
  await later.close();
});

test("VACUUM, VACUUM FULL, ANALYZE, TRUNCATE and CHECKPOINT run beside open transactions", async () => {
  await a.rows("create table v (x int); insert into v select generate_series(1, 1000)");
  await b.rows("begin; select 1");
  for (const statement of ["vacuum v", "vacuum full v", "analyze v", "truncate v", "checkpoint", "reindex table v"]) {
    expect((await a.query(statement)).error).toBeUndefined();
  }
  await b.rows("commit");
});

test("deep recursion is an error of PostgreSQL, not the end of the engine", async () => {
  const nested = `select ${"abs(".repeat(2000)}1${")".repeat(2000)}`;
  expect(await a.rows(nested)).toEqual(["1"]);
  const lost = await SqlSession.open(host);
  await a.rows("create function deep(n int) returns int language plpgsql as $$ begin return deep(n + 1); end $$");
  // Its own session may end with it, if V8's stack is full before PostgreSQL's limit is reached.
  expect((await lost.query("select deep(1)")).error).toBe("54001");
  expect(await b.rows("select 1")).toEqual(["1"]);
});
