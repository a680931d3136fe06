/** Checkpoints and the WAL writer with real sessions: PostgreSQL's own processes, asked for by sessions, in time and in vain. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { SessionHost } from "../../../src/sessions/host.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { openHost } from "./support/open-host.ts";
import { SqlSession } from "./support/sql-session.ts";

const redo = "select redo_lsn from pg_control_checkpoint()";
const segments = "select count(*) from pg_ls_waldir() where name ~ '^[0-9A-F]{24}$'";

let host: SessionHost;
let a: SqlSession;
let b: SqlSession;
beforeAll(async () => {
  host = await openHost({
    dataDir: "memory://",
    maxSessions: 10,
    // As few as there may be: the queue of requests to sync has one place for each.
    sharedBuffers: "128kB",
    settings: { max_wal_size: "32MB", min_wal_size: "32MB" },
  });
  a = await SqlSession.open(host);
  b = await SqlSession.open(host);
});
afterAll(() => host.close());

test("CHECKPOINT returns when it is done, also beside an open transaction and a session that waits for its lock", async () => {
  const c = await SqlSession.open(host);
  await a.rows("create table rows (id int primary key, x int); insert into rows values (1, 0)");
  const [before] = await c.rows(redo);
  await a.rows("begin; update rows set x = x + 1");
  const waiting = await b.startsWaiting("update rows set x = x + 10 returning x");
  expect(await c.query("checkpoint")).toMatchObject({ error: undefined, messageTypes: "CZ" });
  expect(await c.rows(`select redo_lsn > '${before}' from pg_control_checkpoint()`)).toEqual(["t"]);
  await a.rows("commit");
  expect((await waiting.answer).rows).toEqual(["11"]);
  await c.close();
});

test("while one session waits for its checkpoint, others run; all that ask at once get theirs", async () => {
  await b.rows("create table wide as select g, repeat('x', 200) from generate_series(1, 5000) g");
  const waiting = a.query("checkpoint");
  const event = await b.rows(`select wait_event from pg_stat_activity where pid = ${a.session.pid}`);
  expect(event).toEqual(["CheckpointDone"]);
  expect((await waiting).error).toBeUndefined();
  const all = await Promise.all([a.query("checkpoint"), b.query("checkpoint")]);
  expect(all.map(({ error }) => error)).toEqual([undefined, undefined]);
});

test("CHECKPOINT needs the role that PostgreSQL has for it", async () => {
  await a.rows("create role checks login");
  const limited = await SqlSession.open(host, { user: "checks" });
  expect((await limited.query("checkpoint")).error).toBe("42501");
  await a.rows("grant pg_checkpoint to checks");
  expect((await limited.query("checkpoint")).error).toBeUndefined();
  await limited.close();
});

test("writes checkpoint by themselves when the WAL has grown: it stays about as large as max_wal_size says", async () => {
  await a.rows("create table filled (id int, pad text)");
  const [done] = await a.rows("select num_done from pg_stat_checkpointer");
  for (let round = 0; round < 10; round++) {
    await a.rows("insert into filled select g, repeat('x', 1000) from generate_series(1, 10000) g");
    expect(Number(await b.rows(segments))).toBeLessThanOrEqual(6);
  }
  expect(Number(await a.rows("select num_done from pg_stat_checkpointer"))).toBeGreaterThan(Number(done) + 2);
});

test("also when it is one statement that writes them all", async () => {
  await a.rows("truncate filled");
  const [done] = await a.rows("select num_done from pg_stat_checkpointer");
  await a.rows("insert into filled select g, repeat('x', 1000) from generate_series(1, 120000) g");
  expect(Number(await b.rows(segments))).toBeLessThanOrEqual(6);
  expect(Number(await a.rows("select num_done from pg_stat_checkpointer"))).toBeGreaterThan(Number(done) + 1);
});

test("the queue of requests to sync is emptied when it is full: many files are written, truncated and dropped at once", async () => {
  const each = (statement: string) =>
    `do $$ begin for i in 1..100 loop execute format('${statement}', i); end loop; end $$`;
  await a.rows(each("create table many%s as select g, repeat(''x'', 500) from generate_series(1, 50) g"));
  await b.rows(each("truncate many%s"));
  await a.rows(each("drop table many%s"));
  expect((await b.query("checkpoint")).error).toBeUndefined();
});

test("databases are made, copied and dropped, with the checkpoints that this takes", { tags: "long" }, async () => {
  await a.rows("create database copied strategy file_copy");
  const inside = await SqlSession.open(host, { database: "copied" });
  await inside.rows("create table t as select g from generate_series(1, 1000) g");
  await inside.close();
  await b.rows("create database again template copied strategy wal_log");
  await a.rows("drop database copied");
  const last = await SqlSession.open(host, { database: "again" });
  expect(await last.rows("select count(*) from t")).toEqual(["1000"]);
  // Nobody but its clients is connected to a database: this is PostgreSQL's own, in which PGlite starts.
  await Promise.all([a.close(), b.close()]);
  expect((await last.query("create database of_its_own template postgres")).error).toBeUndefined();
  [a, b] = [await SqlSession.open(host), await SqlSession.open(host)];
  await last.close();
});

test("pg_stat_activity shows who does it; what is not a client is none, and cannot be ended", async () => {
  const others = "select backend_type from pg_stat_activity where backend_type <> 'client backend' order by 1";
  expect(await a.rows(others)).toEqual(["checkpointer", "walwriter"]);
  const clients = "select count(*) from pg_stat_activity where backend_type = 'client backend'";
  expect(await a.rows(clients)).toEqual(["2"]);
  await a.rows("select pg_terminate_backend(pid) from generate_series(1, 100) pid");
  expect(await a.rows(others)).toEqual(["checkpointer", "walwriter"]);
  expect((await b.query("checkpoint")).error).toBeUndefined();
});

test("a commit that nobody waited for is in the WAL file soon", async () => {
  await a.rows("create table later (x int); set synchronous_commit = off; insert into later values (1)");
  const [inserted] = await a.rows("select pg_current_wal_insert_lsn()");
  const flushed = `select pg_current_wal_flush_lsn() >= '${inserted}'`;
  await waitUntil("the WAL is written", async () => (await b.rows(flushed))[0] === "t");
});

test("a changed setting reaches the checkpointer, which tells all", async () => {
  const asItIs = "select full_page_writes from pg_control_checkpoint()";
  expect(await b.rows(asItIs)).toEqual(["f"]);
  await a.rows("alter system set full_page_writes = on");
  await a.rows("select pg_reload_conf(); select 1");
  await a.rows("checkpoint");
  expect(await b.rows(asItIs)).toEqual(["t"]);
});
