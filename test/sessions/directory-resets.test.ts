/** `db.reset()`, `db.snapshot()` and `db.restore()` of a database in a directory. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { type DevDb, startDevDb } from "../../src/index.ts";
import { lastEngineThread } from "../support/engine-thread.ts";

const directory = mkdtempSync(join(tmpdir(), "directory-resets-"));

const start = (options: Parameters<typeof startDevDb>[0] = {}) =>
  startDevDb({ port: 0, migrations: "none", cwd: directory, db: "data", log: () => {}, ...options });

let db: DevDb;
beforeAll(async () => {
  db = await start({ resets: "on", database: "shop" });
  return async () => {
    await db.close();
    rmSync(directory, { recursive: true });
  };
});

/** A client of a database; its end is told. */
async function connect(database = "shop"): Promise<{ client: pg.Client; ended: Promise<pg.DatabaseError> }> {
  const client = new pg.Client(db.url.replace(/shop$/, database));
  const ended = new Promise<pg.DatabaseError>((resolve) => client.on("error", (error) => resolve(error as never)));
  await client.connect();
  onTestFinished(() => client.end().catch(() => {}));
  return { client, ended };
}

test("the database goes back to its start and to snapshots; who idles goes on, who is at work is ended, others notice nothing", async () => {
  const { client } = await connect();
  const [holder, elsewhere, listener] = [await connect(), await connect("postgres"), await connect()];
  await client.query("create table t (v text); insert into t values ('one')");
  await client.query("set time zone 'Asia/Tokyo'");
  const named = { name: "all", text: "select coalesce(string_agg(v, ' ' order by v), '') as v from t" };
  const value = async () => (await client.query(named)).rows[0].v;
  await listener.client.query("listen jobs");
  const told: (string | undefined)[] = [];
  listener.client.on("notification", ({ payload }) => told.push(payload));
  await db.snapshot("one");
  await client.query("insert into t values ('two')");
  await db.snapshot("two");
  await elsewhere.client.query("begin; create table unfinished (n int)");
  await holder.client.query("begin; insert into t values ('half')");
  await db.restore("one");
  expect((await holder.ended).code).toBe("57P01");
  expect(await value()).toBe("one");
  await db.restore("two");
  expect(await value()).toBe("one two");
  expect((await client.query("show time zone")).rows).toEqual([{ TimeZone: "Asia/Tokyo" }]);
  await client.query("notify jobs, 'heard'");
  await expect.poll(() => told).toEqual(["heard"]);
  await elsewhere.client.query("commit");
  await expect(db.restore("three")).rejects.toThrow('there is no snapshot "three"; there are: "one", "two"');
  await db.reset();
  await expect(value()).rejects.toMatchObject({ code: "42P01" });
  await expect(client.query("select from t")).rejects.toMatchObject({ code: "42P01" });
});

test("what is said of the database itself goes back, too: owner, grants, settings, comment, limit", async () => {
  const { client } = await connect();
  const facts = async () =>
    (
      await client.query(`select pg_get_userbyid(datdba) as owner, datacl::text, datconnlimit, datallowconn, datistemplate,
        shobj_description(d.oid, 'pg_database') as comment,
        (select array_agg(setconfig::text || setrole::regrole::text order by 1) from pg_db_role_setting where setdatabase = d.oid) as settings,
        (select array_agg(refobjid::regrole::text || deptype::text order by 1) from pg_shdepend where classid = 'pg_database'::regclass and objid = d.oid) as roles
        from pg_database d where datname = current_database()`)
    ).rows[0];
  await client.query("create role boss; create role guest login; alter database shop owner to boss");
  await client.query(
    "grant connect, temp on database shop to guest with grant option; comment on database shop is 'it''s one'",
  );
  await client.query("alter database shop connection limit 50; alter database shop set work_mem = '7MB'");
  await client.query("alter role guest in database shop set work_mem = '9MB'");
  const before = await facts();
  expect(before).toMatchObject({ owner: "boss", datconnlimit: 50, comment: "it's one" });
  await client.query("select pglite_devdb.snapshot('facts')");
  await client.query(
    "alter database shop owner to postgres; revoke all on database shop from guest; comment on database shop is null",
  );
  await client.query(
    "alter database shop connection limit -1; alter database shop reset all; alter role guest in database shop reset all",
  );
  await client.query("select pglite_devdb.restore('facts')");
  expect(await facts()).toEqual(before);
  await client.query("reassign owned by boss to postgres");
  // Who is granted something there is known to be.
  await expect(client.query("drop role guest")).rejects.toMatchObject({ code: "2BP01" });
  const { rows } = await client.query("select pglite_devdb.snapshots()");
  expect(rows[0].snapshots.split("\n")).toContain("facts");
  await client.query("select pglite_devdb.drop_snapshot('facts')");
  await expect(client.query("select pglite_devdb.restore('facts')")).rejects.toMatchObject({ code: "42704" });
});

test("many clients at once: each query is answered, or its connection is ended", { tags: "long" }, async () => {
  const pool = new pg.Pool({ connectionString: db.url, max: 6 });
  pool.on("error", () => {});
  onTestFinished(() => pool.end());
  await pool.query("drop table if exists n; create table n (i serial)");
  await db.snapshot("busy");
  let isOver = false;
  const codes = new Set<string>();
  const clients = Array.from({ length: 6 }, async () => {
    while (!isOver)
      await pool.query("insert into n default values").catch((error) => codes.add(error.code ?? error.message));
  });
  for (let round = 0; round < 4; round++) await db.restore("busy");
  isOver = true;
  await Promise.all(clients);
  expect([...codes].filter((code) => code !== "57P01" && code !== "Connection terminated unexpectedly")).toEqual([]);
  await db.restore("busy");
  expect((await pool.query("select count(*)::int as n from n")).rows).toEqual([{ n: 0 }]);
});

test("what cannot be is said, and changes nothing", { tags: "long" }, async () => {
  const { client } = await connect();
  await client.query("create table if not exists kept (n int)");
  await expect(db.snapshot("a~b")).rejects.toThrow('"a~b" cannot be a snapshot\'s name in a directory');
  await expect(db.snapshot("")).rejects.toThrow("cannot be a snapshot's name");
  await expect(db.snapshot("x".repeat(60))).rejects.toThrow("at most 63 bytes");
  await db.snapshot("whole");
  await using branch = await db.branch();
  const { client: there } = await connect(branch.database);
  await expect(there.query("select pglite_devdb.snapshot('one')")).rejects.toMatchObject({ code: "0A000" });
  await there.end();
  const inTransaction = await connect();
  await inTransaction.client.query("begin; insert into kept values (7)");
  await expect(inTransaction.client.query("select pglite_devdb.restore('whole')")).rejects.toMatchObject({
    code: "57P01",
  });
  await client.query("begin; insert into kept values (1)");
  await client.query("prepare transaction 'it'");
  const refusal = {
    code: "55006",
    message: 'database "shop" is being accessed by other users. There is 1 prepared transaction using the database.',
  };
  await expect(db.snapshot("prepared")).rejects.toMatchObject({ ...refusal, message: `source ${refusal.message}` });
  await expect(db.restore("whole")).rejects.toMatchObject(refusal);
  await client.query("commit prepared 'it'");
  expect((await client.query("select n from kept")).rows).toEqual([{ n: 1 }]);
  expect((await client.query("select count(*)::int as n from pg_database where datname ~ '!(new|old)$'")).rows).toEqual(
    [{ n: 0 }],
  );
});

test("what is kept outlives an engine that dies", { tags: "long" }, async () => {
  const { client } = await connect();
  await client.query("drop table if exists dead; create table dead (n int)");
  await db.snapshot("alive");
  await client.query("insert into dead values (1)");
  await lastEngineThread().fail(new Error("killed by a test"));
  await db.restore("alive");
  const again = await connect();
  expect((await again.client.query("select count(*)::int as n from dead")).rows).toEqual([{ n: 0 }]);
  await db.reset();
  await expect(again.client.query("select from dead")).rejects.toMatchObject({ code: "42P01" });
});

test("snapshots outlive the server; what a server kept at its start does not", { tags: "long" }, async () => {
  const { client } = await connect();
  await client.query("create table late (n int)");
  await db.snapshot("late");
  await client.query("drop table late");
  await client.end();
  await db.close();
  db = await start({ database: "shop" });
  await expect(db.reset()).rejects.toThrow(
    "nothing to reset to: the server was not told to keep its state when it became ready; start it with --resets on",
  );
  await db.restore("late");
  const again = await connect();
  expect((await again.client.query("select count(*)::int as n from late")).rows).toEqual([{ n: 0 }]);
  expect((await again.client.query("select from pg_database where datname ~ 'start'")).rowCount).toBe(0);
});
