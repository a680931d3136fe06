/** Branches of a database: `db.branch()`. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type DevDb, type DevDbBranch, startDevDb, UsageError } from "../../src/index.ts";
import { lastEngineThread } from "../support/engine-thread.ts";
import { query } from "../support/query.ts";
import { Random, runSeed } from "../support/random.ts";
import { branchWaits } from "./support/branch-waits.ts";

const directory = mkdtempSync(join(tmpdir(), "branches-test-"));
afterAll(() => rmSync(directory, { recursive: true }));

const start = (options: Parameters<typeof startDevDb>[0] = {}) =>
  startDevDb({ port: 0, migrations: "none", cwd: directory, log: () => {}, ...options });

function client(url: string): postgres.Sql {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  onTestFinished(() => sql.end({ timeout: 1 }));
  return sql;
}

/** As PostgreSQL's CREATE DATABASE says it of its template, DETAIL and all. */
const hasPrepared = {
  code: "55006",
  message: expect.stringMatching(/"postgres".*\b1 prepared transaction\b/),
};

const places = { "memory://": {}, data: { tags: "long" } };
for (const [place, options] of Object.entries(places))
  describe(`of a database in ${place}`, options, () => {
    let db: DevDb;
    let sql: postgres.Sql;
    beforeAll(async () => {
      db = await start({ db: place, extensions: ["amcheck"] });
      sql = postgres(db.url, { max: 1, onnotice: () => {} });
      await sql`create extension amcheck`;
      await sql`create table account (id int primary key, balance int not null)`;
      await sql`insert into account select g, 100 from generate_series(1, 1000) g`;
      return async () => {
        await sql.end({ timeout: 1 });
        await db.close();
      };
    });

    test("a branch has what was committed; neither side sees what the other one changes; nobody has to disconnect", async () => {
      const branch = await db.branch("w1");
      expect(branch).toMatchObject({ name: "w1", database: "postgres~w1" });
      expect([branch.url, branch.env.DATABASE_URL]).toEqual([`${db.url}~w1`, `${db.url}~w1`]);
      const other = client(branch.url);
      const total = (on: postgres.Sql) => on`select count(*)::int, sum(balance)::int from account`.then(([row]) => row);
      expect(await total(other)).toEqual({ count: 1000, sum: 100_000 });
      await other`update account set balance = 0 where id <= 500`;
      await sql`delete from account where id > 999`;
      expect([await total(sql), await total(other)]).toEqual([
        { count: 999, sum: 99_900 },
        { count: 1000, sum: 50_000 },
      ]);
      await sql`insert into account values (1000, 100)`;
      await branch.drop();
    });

    test("a branch that is dropped ends who is connected to it; nobody else; again does nothing, and the name is free", async () => {
      const branch = await db.branch("w2");
      const connected = new pg.Client(branch.url);
      const ended = new Promise<Error>((resolve) => connected.on("error", resolve));
      await connected.connect();
      await connected.query("select 1");
      await branch.drop();
      expect(await ended).toMatchObject({ code: "57P01" });
      await branch.drop();
      await expect(client(branch.url)`select 1`).rejects.toMatchObject({ code: "3D000" });
      expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
      await (await db.branch("w2")).drop();
    });

    test("without a name it gets one; await using drops it", async () => {
      let name = "";
      {
        await using branch = await db.branch();
        name = branch.database;
        expect(await sql`select 1 from pg_database where datname = ${name}`).toHaveLength(1);
      }
      expect(await sql`select 1 from pg_database where datname = ${name}`).toHaveLength(0);
    });

    test("owner, settings, sequences and large objects are in the branch", async () => {
      for (const statement of [
        "create role app login",
        "alter database postgres owner to app",
        "alter database postgres set search_path to app, public",
        "alter role app in database postgres set work_mem = '7MB'",
        "create sequence ids; select nextval('ids'), nextval('ids')",
        "select lo_from_bytea(4711, 'large')",
        "create unlogged table u as select 5 as n",
      ])
        await sql.unsafe(statement);
      await using branch = await db.branch();
      const own = client(branch.url);
      const name = branch.database;
      expect(await own`select pg_get_userbyid(datdba) as owner from pg_database where datname = ${name}`).toEqual([
        { owner: "app" },
      ]);
      expect(await own`show search_path`).toEqual([{ search_path: "app, public" }]);
      expect(await own`select nextval('public.ids')::int as id`).toEqual([{ id: 3 }]);
      expect(await own`select convert_from(lo_get(4711), 'utf8') as text`).toEqual([{ text: "large" }]);
      expect(await own`select n from public.u`).toEqual([{ n: 5 }]);
      const app = client(branch.url.replace("//postgres:", "//app:"));
      expect(await app`show work_mem`).toEqual([{ work_mem: "7MB" }]);
      await sql.unsafe("alter database postgres reset search_path");
    });

    test(`each of many is what was committed at one moment, whoever writes meanwhile (SEED=${runSeed})`, async () => {
      const random = new Random(runSeed);
      let isOver = false;
      const writers = Array.from({ length: 4 }, async () => {
        const writer = client(db.url);
        let transfers = 0;
        for (; !isOver; transfers++) {
          const [from, to, amount] = [1 + random.below(1000), 1 + random.below(1000), random.below(50)];
          await writer.begin(async (transaction) => {
            await transaction`update account set balance = balance - ${amount} where id = ${Math.min(from, to)}`;
            if (random.oneIn(3)) await new Promise((resolve) => setTimeout(resolve, random.below(4)));
            await transaction`update account set balance = balance + ${amount} where id = ${Math.max(from, to)}`;
          });
          if (random.oneIn(40))
            await writer.unsafe(random.of(["vacuum account", "checkpoint", "reindex table account"]));
        }
        return transfers;
      });
      try {
        for (let n = 0; n < 6; n++) {
          await using branch = await db.branch();
          const own = client(branch.url);
          const [found] =
            await own`select count(*)::int, sum(balance)::int, count(distinct id)::int as ids from account`;
          expect([n, found]).toEqual([n, { count: 1000, sum: 100_000, ids: 1000 }]);
          await own`select bt_index_check('account_pkey', true)`;
          expect(await own`select * from verify_heapam('account')`).toEqual([]);
          await own`update account set balance = 0`;
          await own`vacuum full account`;
          await own.end();
        }
      } finally {
        isOver = true;
      }
      for (const transfers of await Promise.all(writers)) expect(transfers).toBeGreaterThan(10);
      expect(await sql`select sum(balance)::int from account`).toEqual([{ sum: 100_000 }]);
    });

    test("an open transaction is waited for; one that stays open is named", async () => {
      const writer = client(`${db.url}?application_name=the-writer`);
      let branch: DevDbBranch | undefined;
      let made: Promise<unknown> | undefined;
      await writer.begin(async (transaction) => {
        await transaction`insert into account values (2000, 0)`;
        made = db.branch("waited").then((waited) => {
          branch = waited;
        });
        await branchWaits(async (text) => (await transaction.unsafe(text)).length);
        await transaction`insert into account values (2001, 0)`;
        expect(branch).toBeUndefined();
      });
      await made;
      expect(await client(branch!.url)`select count(*)::int from account where id >= 2000`).toEqual([{ count: 2 }]);
      await writer.begin(async (transaction) => {
        await transaction`delete from account where id >= 2000`;
        await expect(db.branch("late")).rejects.toThrow(/"the-writer", its last statement: delete from account/);
      });
    });

    test("a branch that waits keeps nobody waiting who is connected and has asked nothing yet", async () => {
      const writer = client(`${db.url}?application_name=the-writer`);
      const fresh = new pg.Client(db.url);
      await fresh.connect();
      onTestFinished(() => fresh.end());
      let state = "waits";
      const made = writer.begin(async (transaction) => {
        await transaction`insert into account values (4000, 0)`;
        const branch = db.branch().then((one) => {
          state = "made";
          return one;
        });
        branch.catch(() => {});
        await branchWaits(async (text) => (await transaction.unsafe(text)).length);
        expect((await fresh.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
        expect(state).toBe("waits");
        await transaction`delete from account where id = 4000`;
        return { branch };
      });
      await using branch = await (await made).branch;
      expect(branch.database).toMatch(/^postgres~/);
    });

    test("the session that makes branches is in nobody's way for long, and may be ended by anybody", async () => {
      const other = client(`${db.url}?application_name=other`);
      await other`select 1`;
      await using first = await db.branch();
      expect(await other`select pg_terminate_backend(pid) from pg_stat_activity where pid = 997`).toHaveLength(1);
      await using second = await db.branch();
      expect(second.database).not.toBe(first.database);
      const copies = client(first.url);
      await other.end();
      await sql.end();
      sql = postgres(db.url, { max: 1, onnotice: () => {} });
      await copies.unsafe("create database copied template postgres");
      await copies.unsafe("drop database copied");
    });

    test("one whose drop was killed midway is replaced by the next one of its name, or can be dropped", async () => {
      for (const again of [() => db.branch("half"), () => sql.unsafe(`drop database "postgres~half"`)]) {
        await db.branch("half");
        // What DROP DATABASE has committed before it removes anything.
        await sql`update pg_database set datconnlimit = -2 where datname = 'postgres~half'`;
        await expect(client(`${db.url}~half`)`select 1`).rejects.toMatchObject({ code: "55000" });
        await again();
        await sql.unsafe(`drop database if exists "postgres~half" with (force)`);
      }
    });

    test("without --branches a database that does not exist does not", async () => {
      await expect(client(`${db.url}~never`)`select 1`).rejects.toMatchObject({ code: "3D000" });
    });

    test("what cannot be a branch is refused, and why is said", async () => {
      await expect(db.branch("a b")).rejects.toThrow(`"a b" cannot be a branch's name`);
      await expect(db.branch("x".repeat(60))).rejects.toThrow("at most 63 bytes");
      await using branch = await db.branch("taken");
      await expect(db.branch("taken")).rejects.toThrow(`database "${branch.database}" already exists`);
      await sql.unsafe("begin; insert into account values (3000, 0); prepare transaction 'p'");
      await expect(db.branch()).rejects.toMatchObject(hasPrepared);
      await sql.unsafe("rollback prepared 'p'");
      await sql.unsafe("begin; insert into account values (3000, 0)");
      const late = db.branch("late");
      const isRefused = expect(late).rejects.toMatchObject(hasPrepared);
      await branchWaits(async (text) => (await sql.unsafe(text)).length);
      await sql.unsafe("prepare transaction 'p'");
      await isRefused;
      expect(await sql`select 1 from pg_database where datname = 'postgres~late'`).toEqual([]);
      await sql.unsafe("rollback prepared 'p'");
    });
  });

describe("with --branches on", () => {
  let db: DevDb;
  beforeAll(async () => {
    db = await start({ branches: "on", password: "secret" });
    const sql = postgres(db.url, { max: 1, onnotice: () => {} });
    await sql`create table t as select 1 as n`;
    await sql.end();
    return () => db.close();
  });
  const connect = async (url: string) => {
    const connected = new pg.Client(url);
    connected.on("error", () => {});
    onTestFinished(() => connected.end());
    await connected.connect();
    return connected;
  };

  test("who first connects to a branch makes it; others that come at once, and later, get the same one", async () => {
    const clients = await Promise.all(Array.from({ length: 6 }, () => connect(`${db.url}~w1`)));
    await clients[0]!.query("insert into t values (2)");
    await client(db.url)`insert into t values (3)`;
    for (const each of [...clients, await connect(`${db.url}~w1`)]) {
      expect((await each.query("select n from t order by n")).rows).toEqual([{ n: 1 }, { n: 2 }]);
    }
    expect(await client(`${db.url}~w2`)`select n from t order by n`).toEqual([{ n: 1 }, { n: 3 }]);
    expect(await client(`${db.url}~w2~nested`)`select n from t order by n`).toEqual([{ n: 1 }, { n: 3 }]);
  });

  test("nothing is made where there is nothing to copy, for a name that is none, or for who does not know the password", async () => {
    await expect(connect(db.url.replace(/postgres$/, "app~w1"))).rejects.toMatchObject({ code: "3D000" });
    await expect(connect(`${db.url}~a%20b`)).rejects.toMatchObject({ code: "3D000" });
    // PostgreSQL would cut the name off, and nobody could reach it.
    const long = `${db.url}~${"x".repeat(60)}`;
    for (let i = 0; i < 2; i++) await expect(connect(long)).rejects.toMatchObject({ code: "42622" });
    await expect(connect(`${db.url.replace("secret", "wrong")}~w3`)).rejects.toMatchObject({ code: "28P01" });
    expect(await client(db.url)`select 1 from pg_database where datname like '%w3'`).toHaveLength(0);
  });

  test("the parameter may come in options, as psql's URL has it", async () => {
    const other = await startDevDb({ port: 0, migrations: "none" });
    try {
      for (const [name, options] of Object.entries({
        x1: "-c pglite_devdb.branch=on",
        x2: "--pglite_devdb.branch=on",
        x3: "-c work_mem=3MB -cpglite_devdb.branch=on",
      })) {
        const made = new pg.Client({ connectionString: `${other.url}~${name}`, options });
        await made.connect();
        expect((await made.query("select current_database() as name")).rows).toEqual([{ name: `postgres~${name}` }]);
        await made.end();
      }
    } finally {
      await other.close();
    }
  });

  test("who cannot have one is told why", async () => {
    const writer = client(db.url);
    await writer.begin(async (transaction) => {
      await transaction`insert into t values (4)`;
      await expect(connect(`${db.url}~w4`)).rejects.toMatchObject({
        code: "55006",
        message: expect.stringContaining('"postgres~w4" could not be made: a database in use could not be copied'),
      });
    });
    expect((await (await connect(`${db.url}~w4`)).query("select count(*)::int from t")).rows).toEqual([{ count: 3 }]);
  });
});

describe("when PostgreSQL has crashed (a stand-in: its thread is told to fail)", () => {
  /** Has a client in a branch that has written there, and PostgreSQL crash; resolves with what the client is told. */
  async function crash(db: DevDb): Promise<unknown> {
    const own = new pg.Client(`${db.url}~w1`);
    const told = new Promise((resolve) => own.on("error", resolve));
    await own.connect();
    await own.query("create table t as select 1 as n");
    await lastEngineThread().fail(new Error("a test's crash"));
    return told;
  }

  test.each(["memory://", "crashed"])(
    "its branches in %s are as its other databases",
    { tags: "long" },
    async (place) => {
      await using db = await start({ db: place, branches: "on" });
      expect(await crash(db)).toMatchObject({ code: "57P02" });
      const [found] = await client(`${db.url}~w1`)`select to_regclass('t')::text as t`;
      expect(found).toEqual({ t: place === "memory://" ? null : "t" });
      await using branch = await db.branch();
      expect(await client(branch.url)`select 1 as one`).toEqual([{ one: 1 }]);
    },
  );
});

test("with --branch-ttl a branch is dropped to which nobody has been connected for so long", async () => {
  await using db = await start({ branchTtlMs: 1000 });
  const [unused, used] = [await db.branch("unused"), await db.branch("used")];
  const own = client(used.url);
  await own`select 1`;
  const sql = client(db.url);
  const names = () =>
    sql`select datname from pg_database where datname like '%~%' and datname not like '%~ready:%'`.then((rows) =>
      rows.map((row) => row.datname),
    );
  await expect.poll(names, { timeout: 20_000 }).toEqual([used.database]);
  // As long as another one takes to be dropped.
  await db.branch("later");
  await expect.poll(names, { timeout: 20_000 }).toEqual([used.database]);
  expect(await own`select 1 as one`).toEqual([{ one: 1 }]);
  await own.end();
  await expect.poll(names, { timeout: 20_000 }).toEqual([]);
  await unused.drop();
});

test("with --branch-ttl a short connection is use, though nobody looks while it is there", {
  tags: "long",
}, async () => {
  await using db = await start({ branchTtlMs: 3000 });
  const [used] = [await db.branch("used"), await db.branch("unused")];
  const names = () => query(db.url, "select datname from pg_database where datname ~ '~(un)?used$' order by 1");
  while ((await names()).length > 1) {
    await query(used.url, "select 1");
    // Often enough within the time of a branch, and mostly nobody is connected.
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  expect(await names()).toEqual([used.database]);
});

test("a directory keeps its branches; in memory they end with the server, and dropping one then is nothing", {
  tags: "long",
}, async () => {
  const first = await start({ db: "kept" });
  const { url } = await first.branch("feature");
  await client(url).unsafe("create table t as select 7 as n");
  await first.close();
  const second = await start({ db: "kept" });
  expect(await client(`${second.url}~feature`)`select n from t`).toEqual([{ n: 7 }]);
  await second.close();
  const memory = await start();
  const branch = await memory.branch();
  await memory.close();
  await branch.drop();
});

test("with one session for all connections there are no branches", async () => {
  await using db = await start({ sessions: "shared" });
  await expect(db.branch()).rejects.toThrow(UsageError);
  const refused = start({ sessions: "shared", branches: "on" });
  await expect(refused).rejects.toThrow("branches in the options: needs isolated sessions, not shared ones");
});
