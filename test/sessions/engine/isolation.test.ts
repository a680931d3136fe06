/** What one session does is none of another's business: each is a PostgreSQL backend of its own. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { SessionHost } from "../../../src/sessions/host.ts";
import { ImageCheck } from "../../../src/sessions/image-check.ts";
import { openHost } from "./support/open-host.ts";
import { SqlSession } from "./support/sql-session.ts";

let host: SessionHost;
let a: SqlSession;
let b: SqlSession;

beforeAll(async () => {
  host = await openHost({ dataDir: "memory://", maxSessions: 12 });
  a = await SqlSession.open(host);
  b = await SqlSession.open(host);
});
afterAll(() => host?.close());

test("settings, prepared statements and temporary tables belong to one session", async () => {
  await a.rows("set work_mem = '9MB'");
  await a.rows("prepare p as select 'of a'");
  await a.rows("create temp table mine (x int)");
  expect(await b.rows("show work_mem")).toEqual(["4MB"]);
  expect((await b.query("execute p")).error).toBe("26000");
  expect((await b.query("select * from mine")).error).toBe("42P01");
  await b.rows("create temp table mine (x int); insert into mine values (2)");
  expect(await a.rows("select count(*) from mine")).toEqual(["0"]);
  expect(await a.rows("execute p")).toEqual(["of a"]);
  expect(await a.rows("show work_mem")).toEqual(["9MB"]);
});

test("each session is a backend with its own pid in pg_stat_activity", async () => {
  const pids = [await a.rows("select pg_backend_pid()"), await b.rows("select pg_backend_pid()")].flat();
  expect(pids).toEqual([String(a.session.pid), String(b.session.pid)]);
  const listed = await a.rows("select pid from pg_stat_activity where backend_type = 'client backend' order by pid");
  expect(listed).toEqual(pids);
});

test("open transactions stand side by side and see only what is committed", async () => {
  await a.rows("create table shared (id int primary key, v text)");
  await a.rows("begin");
  await a.rows("insert into shared values (1, 'a')");
  await b.rows("begin");
  await b.rows("insert into shared values (2, 'b')");
  expect(await a.rows("select v from shared")).toEqual(["a"]);
  expect(await b.rows("select v from shared")).toEqual(["b"]);
  await b.rows("commit");
  expect(await a.rows("select v from shared order by id")).toEqual(["a", "b"]);
  await a.rows("rollback");
  expect(await b.rows("select v from shared")).toEqual(["b"]);
});

test("DDL of one session is seen by the cached plans of another", async () => {
  await a.rows("create table altered (x int)");
  await b.rows("prepare q as select * from altered");
  expect(await b.rows("execute q")).toEqual([]);
  await a.rows("alter table altered add y int default 7");
  await a.rows("insert into altered values (1)");
  expect((await b.query("execute q")).message).toBe("cached plan must not change result type");
  expect(await b.rows("select * from altered")).toEqual(["1|7"]);
});

test("the startup packet's parameters reach the session", async () => {
  await a.rows("create role bee login");
  await a.rows("alter role bee set statement_timeout = '7s'");
  const session = await SqlSession.open(host, { user: "bee", application_name: "hive", options: "-c work_mem=5MB" });
  const settings = ["application_name", "work_mem", "statement_timeout"].map((name) => `current_setting('${name}')`);
  expect(await session.rows(`select current_user, ${settings.join()}`)).toEqual(["bee|hive|5MB|7s"]);
  expect((await session.query("create role another")).error).toBe("42501");
  await session.close();
});

test("a session is connected to the database that it names", async () => {
  await a.rows("create database other");
  const session = await SqlSession.open(host, { database: "other" });
  expect(await session.rows("select current_database()")).toEqual(["other"]);
  await session.rows("create table only_there (x int)");
  expect((await a.query("select * from only_there")).error).toBe("42P01");
  expect((await a.query("drop database other")).error).toBe("55006");
  await session.close();
  await a.rows("drop database other");
});

test("PostgreSQL itself refuses an unknown database and an unknown role, and keeps nothing of the attempt", async () => {
  const before = host.openSessions;
  await expect(SqlSession.open(host, { database: "nowhere" })).rejects.toThrow('database "nowhere" does not exist');
  await expect(SqlSession.open(host, { user: "nobody" })).rejects.toThrow('role "nobody" does not exist');
  expect(host.openSessions).toBe(before);
  expect(
    await a.rows("select count(*) from pg_stat_activity where backend_type = 'client backend' and datname is null"),
  ).toEqual(["0"]);
});

test("sequences, cursors and large objects are kept apart and shared as in PostgreSQL", async () => {
  await a.rows("create sequence s");
  expect([await a.rows("select nextval('s')"), await b.rows("select nextval('s')")].flat()).toEqual(["1", "2"]);
  expect(await a.rows("select currval('s')")).toEqual(["1"]);
  await a.rows("begin; declare c cursor with hold for select generate_series(1, 3); commit");
  expect((await b.query("fetch c")).error).toBe("34000");
  expect(await a.rows("fetch all c")).toEqual(["1", "2", "3"]);
  const [oid] = await a.rows("select lo_from_bytea(0, 'large')");
  expect(await b.rows(`select convert_from(lo_get(${oid}), 'UTF8')`)).toEqual(["large"]);
});

test("random numbers differ between sessions", async () => {
  const [one, other] = [await SqlSession.open(host), await SqlSession.open(host)];
  const numbers = [one, other].map((session) => session.rows("select random(), gen_random_uuid()"));
  const [first, second] = await Promise.all(numbers);
  expect(first).not.toEqual(second);
  await Promise.all([one.close(), other.close()]);
});

test("a session that has done little has little memory of its own, of which little is moved at a switch", async () => {
  const [little, other] = [await SqlSession.open(host), await SqlSession.open(host)];
  await little.rows("select 1");
  await other.rows("select 1");
  expect(little.session.image.size).toBeGreaterThan(0);
  expect(little.session.image.size).toBeLessThan(256 << 10);
  expect(little.session.window.size).toBeLessThan(2 << 20);
  await Promise.all([little, other].map(({ session }) => host.closeSession(session)));
});

test("what a session has had is cleared and given to others when it ends", async () => {
  const free = host.windows.available;
  for (let round = 0; round < 3; round++) {
    const session = await SqlSession.open(host);
    const [{ start }, before] = [session.session.window.extents[0]!, session.session.window.size];
    await session.rows(
      "select sum(length(x)) from (select repeat('x', 3000000) || g as x from generate_series(1, 3) g)",
    );
    expect(session.session.window.size).toBeGreaterThan(before);
    await session.close();
    expect(host.windows.available).toBe(free);
    expect(host.machine.bytes.subarray(start, start + before).every((byte) => byte === 0)).toBe(true);
  }
});

test("the check of these tests sees a write without a mark, in the heap of the fork and in static data", async () => {
  const [one, other] = [await SqlSession.open(host), await SqlSession.open(host)];
  for (const session of [one, other, one]) await session.rows("select 1");
  const { machine } = host;
  for (const address of [machine.address("work_mem"), machine.address("__heap_base") + 65_536]) {
    machine.bytes[address]! ^= 1;
    expect(one.session.image.overlooked()).toEqual([address - (address % 256)]);
    machine.bytes[address]! ^= 1;
    expect(one.session.image.overlooked()).toEqual([]);
  }
  await Promise.all([one, other].map(({ session }) => host.closeSession(session)));
});

test("the check of these tests sees a write to the memory of another session", async () => {
  const [one, other] = [await SqlSession.open(host), await SqlSession.open(host)];
  const check = new ImageCheck(host.machine);
  const { extents } = one.session.window;
  await host.scheduler.take(one.session, () => check.leave(one.session));
  await host.scheduler.take(one.session, () => check.enter(one.session));
  await host.scheduler.take(one.session, () => check.leave(one.session));
  const address = extents[0]!.start + 1000;
  host.machine.bytes[address]! ^= 1;
  expect(() => check.enter(one.session)).toThrow("another session's memory");
  host.machine.bytes[address]! ^= 1;
  await Promise.all([one, other].map(({ session }) => host.closeSession(session)));
});
