/** CREATE DATABASE in memory: copies that share what neither side has changed. */
import { PGlite } from "@electric-sql/pglite";
import { amcheck } from "@electric-sql/pglite/contrib/amcheck";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Copying } from "../../../src/cluster/copying.ts";
import { openMemoryFiles } from "../../../src/cluster/memory-files.ts";
import { limits } from "../../../src/limits.ts";
import type { SessionHost } from "../../../src/sessions/host.ts";
import { Random, runSeed } from "../../support/random.ts";
import { message } from "../../support/wire-client.ts";
import { openHost } from "./support/open-host.ts";
import { SqlSession } from "./support/sql-session.ts";

// Here the session waits by itself; that of the server waits outside of its statement.
Object.assign(limits, { branchHoldMs: limits.branchWaitMs });

let host: SessionHost;
let files: Awaited<ReturnType<typeof openMemoryFiles>>;
let admin: SqlSession;
let copied: string[] = [];
beforeAll(async () => {
  files = await openMemoryFiles();
  const directory: Copying["directory"] = (from, to, pages) => {
    const isDone = files.copying.directory(from, to, pages);
    copied.push(`${from} ${isDone}`);
    return isDone;
  };
  host = await openHost({
    dataDir: "memory://",
    files,
    copying: { directory, isCheap: true },
    maxSessions: 10,
    extensions: { amcheck },
  });
  admin = await SqlSession.open(host);
  await admin.rows("create database app");
  const app = await SqlSession.open(host, { database: "app" });
  await app.rows(
    "create table big as select g as id, repeat(md5(g::text), 8) as t from generate_series(1, 60000) g; create index on big (id)",
  );
  await app.rows("create table gone as select 1 as x; create table gone2 as select 1 as x; create extension amcheck");
  await app.close();
});
afterAll(() => host.close());

const megabyte = 2 ** 20;
/** What the files of all databases take. */
const taken = () => files.takenBytes(`${PGlite.paths.PGDATA}/base`);

/** Rejects with what amcheck finds in a session's database. */
async function check(session: SqlSession): Promise<void> {
  const indexes = "from pg_index join pg_class on oid = indexrelid where relam = 403 and relpersistence <> 't'";
  await session.rows(`select bt_index_check(indexrelid, true) ${indexes}`);
  const tables = "from pg_class, verify_heapam(oid) where relkind = 'r' and relpersistence <> 't'";
  expect(await session.rows(`select relname, msg ${tables}`)).toEqual([]);
}

describe("STRATEGY FILE_COPY", () => {
  test("shares what neither side changes; the sides do not see each other's changes; both are sound", async () => {
    await admin.rows("checkpoint");
    const before = taken();
    copied = [];
    await admin.rows("create database one template app strategy file_copy");
    expect(copied).toHaveLength(1);
    expect(copied[0]).toMatch(/^base\/\d+ true$/);
    expect(taken() - before).toBeLessThan(0.1 * megabyte);
    const one = await SqlSession.open(host, { database: "one" });
    const app = await SqlSession.open(host, { database: "app" });
    expect(await one.rows("select pg_database_size('app') > 20 * 1048576")).toEqual(["t"]);
    expect(await one.rows("update big set t = 'one' where id = 7 returning t")).toEqual(["one"]);
    expect(await app.rows("select length(t) from big where id = 7")).toEqual(["256"]);
    await admin.rows("checkpoint");
    expect(taken() - before).toBeLessThan(5 * megabyte);
    await app.rows("insert into big values (0, 'app'); delete from big where id > 50000");
    await app.rows("vacuum big");
    await app.rows("drop table gone");
    expect(await one.rows("select count(*), max(id) from big")).toEqual(["60000|60000"]);
    expect(await one.rows("select * from gone")).toEqual(["1"]);
    expect(await app.rows("select count(*), max(id) from big")).toEqual(["50001|50000"]);
    for (const statement of ["vacuum full big", "reindex database one", "create table more as select * from big"])
      await one.rows(statement);
    for (const side of [one, app]) {
      await check(side);
      await side.close();
    }
  });

  test("is what a statement has that names no strategy, prepared or not; one that names one has that", async () => {
    const isFileCopy = async (end: string, create: (sql: string) => Promise<unknown> = (sql) => admin.rows(sql)) => {
      copied = [];
      await create(`create database three template app${end}`);
      await admin.rows("drop database three");
      return copied.length === 1;
    };
    expect(await isFileCopy("")).toBe(true);
    expect(await isFileCopy(" encoding 'UTF8' connection limit 3")).toBe(true);
    expect(await isFileCopy(" strategy wal_log")).toBe(false);
    expect(await isFileCopy(" strategy file_copy")).toBe(true);
    const prepare = [message.parse("again", "create database three template app"), message.sync()];
    expect((await admin.send(Buffer.concat(prepare))).error).toBeUndefined();
    const execute = Buffer.concat([message.bind("", "again"), message.execute(""), message.sync()]);
    for (let n = 0; n < 3; n++) {
      expect(await isFileCopy("", () => admin.send(execute).then(({ error }) => expect(error).toBeUndefined()))).toBe(
        true,
      );
    }
    expect(await admin.query("create database three template app strategy none")).toMatchObject({
      error: "22023",
      message: 'invalid create database strategy "none"',
    });
  });

  test("a database that is dropped gives its memory back at once", async () => {
    const full = taken();
    await admin.rows("drop database one");
    expect(full - taken()).toBeGreaterThan(30 * megabyte);
    const app = await SqlSession.open(host, { database: "app" });
    await check(app);
    await app.close();
  });

  test("a template in use is refused as PostgreSQL does", async () => {
    const app = await SqlSession.open(host, { database: "app" });
    expect(await admin.query("create database two template app strategy file_copy")).toMatchObject({
      error: "55006",
      message: 'source database "app" is being accessed by other users',
      detail: "There is 1 other session using the database.",
    });
    await app.close();
  });
});

describe("a branch of a database in use", () => {
  test("has what was committed when it was taken, and nothing of a transaction that was open before", async () => {
    const writer = await SqlSession.open(host, { database: "app" });
    await writer.rows("begin; insert into gone2 values (2)");
    host.copies.allow(admin.session);
    const { answer } = await admin.startsWaiting("create database two template app strategy file_copy");
    await writer.rows("insert into gone2 values (3); commit");
    expect((await answer).error).toBeUndefined();
    await writer.rows("insert into gone2 values (4)");
    const two = await SqlSession.open(host, { database: "two" });
    expect(await two.rows("select * from gone2 order by 1")).toEqual(["1", "2", "3"]);
    await check(two);
    await two.close();
    expect((await admin.query("drop database two")).error).toBeUndefined();
    await writer.close();
  });

  test("ends with an error that says for whom it waited", async () => {
    const writer = await SqlSession.open(host, { database: "app" });
    await writer.rows("begin; insert into gone2 values (9)");
    const answer = await admin.query("create database two template app strategy file_copy");
    expect(answer).toMatchObject({ error: "40001" });
    expect(answer.message).toContain(`process ${writer.session.pid} is changing it`);
    await writer.rows("rollback");
    await writer.close();
    host.copies.allow(undefined);
  });

  test("that is cancelled while it waits leaves nothing, and its name is free", async () => {
    const writer = await SqlSession.open(host, { database: "app" });
    await writer.rows("begin; insert into gone2 values (9)");
    host.copies.allow(admin.session);
    const { answer } = await admin.startsWaiting("create database three template app strategy file_copy");
    host.cancel(admin.session);
    expect((await answer).error).toBe("57014");
    await admin.rows("set statement_timeout = '20ms'");
    expect((await admin.query("create database three template app strategy file_copy")).error).toBe("57014");
    await admin.rows("set statement_timeout = 0");
    await writer.rows("rollback");
    expect(await admin.rows("select 1 from pg_database where datname = 'three'")).toEqual([]);
    await admin.rows("create database three template app strategy file_copy");
    await admin.rows("drop database three");
    host.copies.allow(undefined);
    await writer.close();
  });

  const seed = runSeed;
  test(`is what a model says, whatever is written to both (SEED=${seed})`, async () => {
    const random = new Random(seed);
    host.copies.allow(admin.session);
    const app = await SqlSession.open(host, { database: "app" });
    await app.rows("truncate big; create table m (k int primary key, v text)");
    let models = new Map<string, Map<number, string>>([["app", new Map()]]);
    const sessions = new Map([["app", app]]);
    const change = async (name: string, step: number): Promise<void> => {
      const model = models.get(name)!;
      const [from, to] = [random.below(4000), 1 + random.below(300)];
      if (random.oneIn(4)) {
        await sessions.get(name)!.rows(`delete from m where k between ${from} and ${from + to}`);
        for (let k = from; k <= from + to; k++) model.delete(k);
        return;
      }
      const text = `${name} ${step} ${"x".repeat(random.below(400))}`;
      await sessions
        .get(name)!
        .rows(
          `insert into m select g, '${text}' from generate_series(${from}, ${from + to}) g on conflict (k) do update set v = excluded.v`,
        );
      for (let k = from; k <= from + to; k++) model.set(k, text);
      if (random.oneIn(8))
        await sessions.get(name)!.rows(random.of(["vacuum m", "vacuum full m", "checkpoint", "reindex table m"]));
    };
    for (let step = 0; step < 120; step++) {
      const name = random.of([...models.keys()]);
      if (random.oneIn(10) && models.size < 4) {
        const branch = `b${step}`;
        expect((await admin.query(`create database ${branch} template ${name} strategy file_copy`)).message).toBe("");
        models.set(branch, new Map(models.get(name)!));
        sessions.set(branch, await SqlSession.open(host, { database: branch }));
      } else if (random.oneIn(12) && name !== "app") {
        await sessions.get(name)!.close();
        await admin.rows(`drop database ${name}`);
        sessions.delete(name);
        models = new Map([...models].filter(([other]) => other !== name));
      } else await change(name, step);
    }
    for (const [name, model] of models) {
      const rows = [...model].sort(([one], [other]) => one - other).map(([k, v]) => `${k}|${v}`);
      expect(await sessions.get(name)!.rows("select k, v from m order by k")).toEqual(rows);
      await check(sessions.get(name)!);
      await sessions.get(name)!.close();
    }
    host.copies.allow(undefined);
  });
});
