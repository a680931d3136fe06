/** A server in memory that is brought back to what it was: all shared memory and all files are compared behind each rewind. */
import { amcheck } from "@electric-sql/pglite/contrib/amcheck";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openMemoryFiles } from "../../../src/cluster/memory-files.ts";
import type { SessionHost } from "../../../src/sessions/host.ts";
import type { Mark } from "../../../src/sessions/rewind.ts";
import { openHost } from "./support/open-host.ts";
import { SqlSession } from "./support/sql-session.ts";

let host: SessionHost;
let mark: Mark;
beforeAll(async () => {
  const files = await openMemoryFiles();
  const { copying } = files;
  host = await openHost({ dataDir: "memory://", files, copying, maxSessions: 10, extensions: { amcheck } });
  host.marks.isChecked = true;
  const admin = await SqlSession.open(host);
  await admin.rows(
    "create table t (id int primary key, v text); insert into t select g, repeat(md5(g::text), 4) from generate_series(1, 3000) g; create index on t (v)",
  );
  await admin.rows("create sequence s; select nextval('s'); create role app login");
  await admin.rows("create database other");
  const other = await SqlSession.open(host, { database: "other" });
  await other.rows("create table empty (x int)");
  await other.close();
  await admin.rows("create extension amcheck; select lo_from_bytea(4711, 'large')");
  await admin.rows("create table prepared (x int); begin; insert into prepared values (1); prepare transaction 'kept'");
  await admin.close();
  mark = await host.mark();
});
afterAll(() => host.close());

/** What amcheck finds. */
async function damage(session: SqlSession): Promise<string[]> {
  await session.rows(
    "select bt_index_check(indexrelid, true) from pg_index join pg_class on oid = indexrelid where relam = 403 and relpersistence <> 't'",
  );
  return session.rows(
    "select relname, msg from pg_class, verify_heapam(oid) where relkind = 'r' and relpersistence <> 't'",
  );
}

describe("rewind", () => {
  test("brings back rows, relations, sequences, roles, settings, large objects, prepared transactions and databases", async () => {
    const before = await facts();
    const one = await SqlSession.open(host);
    await one.rows("update t set v = 'changed'; delete from t where id % 2 = 0; create table added as select * from t");
    await one.rows("select nextval('s'); select setval('s', 1000); create role later; drop sequence s");
    await one.rows("drop role app");
    const other = await SqlSession.open(host, { database: "other" });
    await other.rows("insert into empty values (1)");
    await other.close();
    await one.rows("checkpoint");
    await one.rows("drop database other");
    await one.rows("create database later");
    await one.rows("alter system set work_mem = '7MB'");
    await one.rows("select pg_reload_conf()");
    await one.rows("alter database postgres set work_mem = '9MB'; alter role postgres set lock_timeout = '3s'");
    await one.rows("select lo_unlink(4711); select lo_from_bytea(4712, 'later')");
    await one.rows("commit prepared 'kept'");
    await one.rows("begin; create table in_two (x int); prepare transaction 'later'");
    await one.rows("vacuum");
    await one.rows("checkpoint");
    expect(await facts()).not.toEqual(before);
    await host.rewind(mark);
    expect(await facts()).toEqual(before);
  });

  test("ends whoever runs, waits for a lock, or is in a transaction", async () => {
    const holder = await SqlSession.open(host);
    await holder.rows("begin; update t set v = 'held' where id = 7");
    const waiter = await SqlSession.open(host);
    const { answer } = await waiter.startsWaiting("update t set v = 'waited' where id = 7");
    const sleeper = await SqlSession.open(host);
    const sleep = await sleeper.startsWaiting("select pg_sleep(100)");
    await host.rewind(mark);
    expect((await answer).status).toBe("ended");
    expect((await sleep.answer).status).toBe("ended");
    expect(host.openSessions).toBe(0);
    const next = await SqlSession.open(host);
    expect(await next.rows("select count(*) from t where v in ('held', 'waited')")).toEqual(["0"]);
    expect(await damage(next)).toEqual([]);
    await next.close();
  });

  test("goes to any mark that was taken, in any order", async () => {
    const write = async (value: string) => {
      const session = await SqlSession.open(host);
      await session.rows(`update t set v = '${value}' where id <= 100`);
      await session.close();
    };
    const value = async () => {
      const session = await SqlSession.open(host);
      const [found] = await session.rows(
        "select string_agg(distinct v, ' ') from t where id <= 100 and length(v) < 100",
      );
      await session.close();
      return found;
    };
    await write("one");
    const one = await host.mark();
    await write("two");
    const two = await host.mark();
    await write("three");
    await host.rewind(one);
    expect(await value()).toBe("one");
    await host.rewind(two);
    expect(await value()).toBe("two");
    await host.rewind(mark);
    expect(await value()).toBe("");
    host.marks.release(one);
    await host.rewind(two);
    expect(await value()).toBe("two");
    host.marks.release(two);
    await host.rewind(mark);
  });
});

test("a mark for which there is no room is refused, and nothing else happens", async () => {
  const { mostBytes } = host.marks;
  host.marks.mostBytes = 20 << 20;
  const before = await facts();
  const marks: Mark[] = [];
  const keepMany = async () => {
    for (let count = 0; count < 100; count++) marks.push(await host.mark());
  };
  await expect(keepMany()).rejects.toMatchObject({ code: "53200" });
  expect(await facts()).toEqual(before);
  for (const each of marks) host.marks.release(each);
  host.marks.release(await host.mark());
  host.marks.mostBytes = mostBytes;
  await host.rewind(mark);
});

async function facts(): Promise<unknown> {
  const session = await SqlSession.open(host);
  const found = {
    damage: await damage(session),
    rows: await session.rows("select count(*), md5(string_agg(v, '' order by id)) from t"),
    sequence: await session.rows("select last_value from pg_sequences"),
    relations: await session.rows("select relname from pg_class where oid >= 16384 order by 1"),
    roles: await session.rows("select rolname, rolconfig from pg_roles where oid >= 16384 or oid = 10 order by 1"),
    databases: await session.rows("select datname from pg_database order by 1"),
    settings: await session.rows(
      "select name, setting from pg_settings where name in ('work_mem', 'lock_timeout') order by 1",
    ),
    large: await session.rows("select oid, convert_from(lo_get(oid), 'UTF8') from pg_largeobject_metadata order by 1"),
    prepared: await session.rows("select gid from pg_prepared_xacts order by 1"),
  };
  await session.close();
  return found;
}
