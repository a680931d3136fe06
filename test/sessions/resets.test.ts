/** `db.reset()`, `db.snapshot()` and `db.restore()`, with pools of real drivers that stay open. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type DevDb, startDevDb, UsageError } from "../../src/index.ts";

const directory = mkdtempSync(join(tmpdir(), "resets-test-"));
afterAll(() => rmSync(directory, { recursive: true }));
writeFileSync(
  join(directory, "seed.sql"),
  `create extension amcheck;
   create table account (id serial primary key, balance int not null);
   create index on account (balance);
   insert into account (balance) select 100 from generate_series(1, 500);
   create role app login;
   select lo_from_bytea(4711, 'seeded');`,
);

const start = (options: Parameters<typeof startDevDb>[0] = {}) =>
  startDevDb({ port: 0, migrations: "none", cwd: directory, log: () => {}, ...options });

/** A pool that is ended with its test; connections that are ended under it are expected. */
function poolOf(db: DevDb, max = 4): pg.Pool {
  const pool = new pg.Pool({ connectionString: db.url, max });
  pool.on("error", () => {});
  onTestFinished(() => pool.end());
  return pool;
}

/** A client of a pool, which is given back with its test; its end is told. */
async function clientOf(pool: pg.Pool): Promise<{ client: pg.PoolClient; ended: Promise<pg.DatabaseError> }> {
  const client = await pool.connect();
  const ended = new Promise<pg.DatabaseError>((resolve) => client.on("error", (error) => resolve(error as never)));
  onTestFinished(() => client.release(true));
  return { client, ended };
}

describe("reset", () => {
  let db: DevDb;
  beforeAll(async () => {
    db = await start({ seed: "seed.sql", extensions: ["amcheck"] });
    return () => db.close();
  });

  /** Rejects with what amcheck finds in all tables and indexes. */
  async function sound(on: pg.Pool): Promise<void> {
    const indexes = "from pg_index join pg_class on oid = indexrelid where relam = 403 and relpersistence <> 't'";
    await on.query(`select bt_index_check(indexrelid, true) ${indexes}`);
    const tables = "from pg_class, verify_heapam(oid) where relkind = 'r' and relpersistence <> 't'";
    expect((await on.query(`select relname, msg ${tables}`)).rows).toEqual([]);
  }

  test("goes back to what there was behind the seed, again and again, while a pool stays open", async () => {
    const pool = poolOf(db);
    const pids = async () => {
      const clients = await Promise.all(Array.from({ length: 4 }, () => pool.connect()));
      const found = await Promise.all(
        clients.map(async (client) => (await client.query("select pg_backend_pid()")).rows),
      );
      for (const client of clients) client.release();
      return found
        .flat()
        .map((row) => row.pg_backend_pid)
        .sort();
    };
    const before = await pids();
    for (let round = 0; round < 5; round++) {
      await pool.query("insert into account (balance) values (7)");
      await pool.query("update account set balance = balance + 1 where id % 3 = 0");
      await pool.query("create table added (x int); drop index account_balance_idx");
      await db.reset();
      const { rows } = await pool.query(
        "select count(*)::int, sum(balance)::int, (select last_value::int from account_id_seq) as last, to_regclass('added') as added, to_regclass('account_balance_idx')::text as index from account",
      );
      expect(rows).toEqual([{ count: 500, sum: 50_000, last: 500, added: null, index: "account_balance_idx" }]);
    }
    expect(await pids()).toEqual(before);
    await sound(pool);
  });

  test("connections that idle keep their settings, LISTEN and prepared statements, and what depends on them", async () => {
    const pool = poolOf(db);
    const { client } = await clientOf(pool);
    const told: string[] = [];
    client.on("notification", ({ channel, payload }) => told.push(`${channel} ${payload}`));
    await client.query("set time zone 'Asia/Tokyo'");
    await client.query("set statement_timeout = '7min'; select set_config('app.tenant', 'it''s', false)");
    await client.query('set role app; listen "Ears"');
    const named = { name: "one", text: "select $1::int + 1 as sum", values: [1] };
    await client.query(named);
    for (let round = 0; round < 3; round++) {
      await db.reset();
      expect((await client.query(named)).rows).toEqual([{ sum: 2 }]);
      const settings = "current_setting('TimeZone') as zone, current_setting('statement_timeout') as timeout";
      const { rows } = await client.query(
        `select ${settings}, current_setting('app.tenant') as tenant, current_user::text`,
      );
      expect(rows).toEqual([{ zone: "Asia/Tokyo", timeout: "7min", tenant: "it's", current_user: "app" }]);
      await pool.query(`notify "Ears", '${round}'`);
      await expect.poll(() => told).toContain(`Ears ${round}`);
    }
  });

  test("a connection whose settings cannot be had again is ended, rather than going on without", async () => {
    const pool = poolOf(db);
    const { client } = await clientOf(pool);
    await client.query("create role later");
    await client.query("set role later");
    await db.reset();
    await expect(client.query("select 1")).rejects.toMatchObject({
      code: "57P01",
      detail: expect.stringContaining('role "later" does not exist'),
    });
  });

  test("connections that are at work, or in a transaction, are ended with 57P01", async () => {
    const pool = poolOf(db);
    const [sleeper, holder, waiter] = [await clientOf(pool), await clientOf(pool), await clientOf(pool)];
    await holder.client.query("begin; update account set balance = 0 where id = 1");
    const outcomes = [
      sleeper.client.query("select pg_sleep(100)"),
      waiter.client.query("update account set balance = 1 where id = 1"),
    ].map((query) => query.catch((error: pg.DatabaseError) => error.code));
    await expect.poll(() => pool.query("select from pg_locks where not granted").then((r) => r.rowCount)).toBe(1);
    await db.reset();
    expect(await Promise.all(outcomes)).toEqual(["57P01", "57P01"]);
    expect((await holder.ended).code).toBe("57P01");
    expect((await pool.query("select balance from account where id = 1")).rows).toEqual([{ balance: 100 }]);
  });

  test("who sends while a reset reads what all have set up has its own role and settings", async () => {
    const clients = await Promise.all(Array.from({ length: 16 }, () => clientOf(poolOf(db, 1))));
    for (let round = 0; round < 12; round++) {
      await Promise.all(
        clients.map(async ({ client }, at) => {
          await client.query(`reset role; listen channel_${at}`);
          await client.query("set role app");
        }),
      );
      const reset = db.reset();
      const answers = clients.map(async ({ client }, at) => {
        // The moment within the reset is what is varied.
        await delay(at % 8);
        const answer = client.query("select current_user, (select count(*) from account)");
        return answer.then(
          ({ rows }) => rows[0],
          ({ code }) => code,
        );
      });
      // The role may not read the table, which a superuser may.
      expect(await Promise.all(answers)).toEqual(clients.map(() => "42501"));
      await reset;
    }
  });

  test("who listens and says nothing hears what comes behind a snapshot and a reset", async () => {
    const { client } = await clientOf(poolOf(db, 1));
    const heard: string[] = [];
    client.on("notification", ({ payload }) => heard.push(payload!));
    await client.query("listen jobs");
    const others = poolOf(db, 1);
    await db.snapshot("listening");
    await others.query("notify jobs, 'behind a snapshot'");
    await db.reset();
    await others.query("notify jobs, 'behind a reset'");
    await expect.poll(() => heard).toEqual(["behind a snapshot", "behind a reset"]);
  });

  test("a tablespace outside of the data directory is in the way of a state, and of nothing else", async () => {
    const pool = poolOf(db, 1);
    await pool.query("create tablespace elsewhere location '/tmp'");
    const refusal =
      /not all of this server can be brought back: the tablespace with the OID \d+ is not in the data directory/;
    await expect(db.snapshot("elsewhere")).rejects.toThrow(refusal);
    await expect(db.reset()).rejects.toThrow(refusal);
    await pool.query("create table there (n int) tablespace elsewhere; drop table there");
    await pool.query("drop tablespace elsewhere");
    await db.reset();
    expect((await pool.query("select count(*)::int as n from account")).rows).toEqual([{ n: 500 }]);
  });

  test("roles, settings of all kinds, large objects, prepared transactions, databases and branches go back, too", async () => {
    const pool = poolOf(db);
    const facts = async () =>
      (
        await pool.query(`select (select array_agg(rolname::text order by 1) from pg_roles where oid > 16383) as roles,
          (select array_agg(datname::text order by 1) from pg_database) as databases,
          (select setting from pg_file_settings where name = 'work_mem') as file,
          (select count(*)::int from pg_db_role_setting) as settings,
          (select array_agg(oid::int) from pg_largeobject_metadata) as large,
          (select count(*)::int from pg_prepared_xacts) as prepared,
          current_setting('work_mem') as work_mem`)
      ).rows[0];
    const before = await facts();
    await pool.query("create role later");
    await pool.query("create database later");
    await pool.query("alter system set work_mem = '7MB'");
    await pool.query("select pg_reload_conf()");
    await pool.query("alter database postgres set work_mem = '9MB'");
    await pool.query("select lo_unlink(4711), lo_from_bytea(4712, 'later')");
    const { client } = await clientOf(pool);
    const branch = await db.branch("later");
    await client.query("begin; insert into account (balance) values (1)");
    await client.query("prepare transaction 'later'");
    expect(await facts()).not.toEqual(before);
    await db.reset();
    expect(await facts()).toEqual(before);
    await expect(new pg.Client(branch.url).connect()).rejects.toMatchObject({ code: "3D000" });
    await branch.drop();
    // Its name is free, and branches can be made: nothing is prepared.
    await using again = await db.branch("later");
    const other = new pg.Client(again.url);
    await other.connect();
    expect((await other.query("select count(*)::int from account")).rows).toEqual([{ count: 500 }]);
    await other.end();
    await sound(pool);
  });

  test("postgres.js goes on, too: a pool with prepared statements of every query", async () => {
    const sql = postgres(db.url, { max: 3, onnotice: () => {} });
    onTestFinished(() => sql.end({ timeout: 1 }));
    const work = async (value: number) => {
      await Promise.all([1, 2, 3, 4, 5, 6].map((id) => sql`update account set balance = ${value} where id = ${id}`));
      return sql`select count(*)::int from account where balance = ${value}`;
    };
    for (let round = 0; round < 4; round++) {
      expect(await work(round)).toMatchObject([{ count: 6 }]);
      await db.reset();
      expect(await sql`select count(*)::int from account where balance = ${round}`).toMatchObject([{ count: 0 }]);
    }
  });

  test("resets and queries of many clients at once: each query is answered, or its connection is ended", async () => {
    const pool = poolOf(db, 8);
    let isOver = false;
    const codes = new Set<string | undefined>();
    const clients = Array.from({ length: 8 }, async () => {
      while (!isOver) {
        const { rows } = await pool.query("insert into account (balance) values (1) returning id").catch((error) => {
          codes.add(error.code ?? error.message);
          return { rows: [{ id: 501 }] };
        });
        expect(rows[0].id).toBeGreaterThan(500);
      }
    });
    for (let round = 0; round < 20; round++) await db.reset();
    isOver = true;
    await Promise.all(clients);
    expect([...codes].filter((code) => code !== "57P01" && code !== "Connection terminated unexpectedly")).toEqual([]);
    await db.reset();
    expect((await pool.query("select count(*)::int from account")).rows).toEqual([{ count: 500 }]);
    await sound(pool);
  });
});

describe("snapshot and restore", () => {
  let db: DevDb;
  beforeAll(async () => {
    db = await start();
    return () => db.close();
  });

  test("go to any state that was kept, in any order; a name may be used again", async () => {
    const pool = poolOf(db);
    const value = async () => (await pool.query("select string_agg(v, ' ') as v from t")).rows[0].v;
    await pool.query("create table t (v text)");
    await db.snapshot("none");
    await pool.query("insert into t values ('one')");
    await db.snapshot("some");
    await pool.query("insert into t values ('two')");
    await db.restore("none");
    expect(await value()).toBe(null);
    await db.restore("some");
    expect(await value()).toBe("one");
    await pool.query("insert into t values ('three')");
    await db.snapshot("some");
    await db.reset();
    await expect(value()).rejects.toMatchObject({ code: "42P01" });
    await db.restore("some");
    expect(await value()).toBe("one three");
    await expect(db.restore("other")).rejects.toThrow('there is no snapshot "other"; there are: "none", "some"');
    await db.dropSnapshot("none");
    await expect(db.restore("none")).rejects.toMatchObject({ code: "42704" });
    await expect(db.dropSnapshot("none")).rejects.toMatchObject({ code: "42704" });
    expect(await value()).toBe("one three");
    await db.dropSnapshot("some");
  });

  test("a snapshot for which there is no room is refused, and the server goes on", {
    tags: "long",
    timeout: 120_000,
  }, async () => {
    const pool = poolOf(db);
    await pool.query("create table room as select 7 as n");
    const keepMany = async () => {
      for (let count = 0; count < 500; count++) {
        const refused = await db.snapshot(`many ${count}`).catch((error: unknown) => error);
        if (refused) return { refused, count };
      }
      return { refused: undefined, count: 500 };
    };
    const { refused, count } = await keepMany();
    expect(refused).toMatchObject({ code: "53200" });
    expect((await pool.query("select n from room")).rows).toEqual([{ n: 7 }]);
    await db.dropSnapshot("many 0");
    await db.snapshot("another");
    await db.restore("many 1");
    expect((await pool.query("select n from room")).rows).toEqual([{ n: 7 }]);
    await db.dropSnapshot("another");
    for (let name = 1; name < count; name++) await db.dropSnapshot(`many ${name}`);
  });

  test("a snapshot waits for transactions, and says whose is in the way", {
    tags: "long",
    timeout: 30_000,
  }, async () => {
    const pool = poolOf(db);
    const { client } = await clientOf(pool);
    await client.query("begin");
    await client.query("create table half (x int)");
    const waiting = db.snapshot("whole");
    await client.query("commit");
    await waiting;
    await client.query("begin");
    await client.query("select 4711");
    await expect(db.snapshot("never")).rejects.toMatchObject({
      code: "55006",
      message: expect.stringContaining("its last statement: select 4711"),
    });
    await client.query("commit");
    await db.reset();
    await db.restore("whole");
    expect((await pool.query("select count(*)::int from half")).rows).toEqual([{ count: 0 }]);
  });
});

describe("where there are none", () => {
  test("with shared sessions it is said what to do", { tags: "long" }, async () => {
    const shared = await start({ sessions: "shared" });
    await expect(shared.reset()).rejects.toThrow(UsageError);
    await expect(shared.reset()).rejects.toThrow("db.reset() needs a PostgreSQL session for each connection");
    await shared.close();
  });
});
