/** Branches that are prepared while nobody wants anything: nobody can tell that they were. */
import pg from "pg";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { readBranch } from "../../src/engine/branches.ts";
import { type DevDb, type DevDbBranch, startDevDb } from "../../src/index.ts";
import { Random, runSeed } from "../support/random.ts";
import { branchWaits } from "./support/branch-waits.ts";

const start = (options: Parameters<typeof startDevDb>[0] = {}) =>
  startDevDb({ port: 0, migrations: "none", log: () => {}, ...options });

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client(url);
  client.on("error", () => {});
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

const preparedSql = "select oid::int, datname as name from pg_database where datname ~ '~ready:[0-9]+$' order by oid";
const preparedOf = (client: pg.Client) =>
  client.query<{ oid: number; name: string }>(preparedSql).then(({ rows }) => rows);

/** Resolves with the OIDs of those of a database that are ready, when there are two. */
async function ready(client: pg.Client, source = "postgres"): Promise<number[]> {
  const found = async () => (await preparedOf(client)).filter(({ name }) => name.startsWith(`${source}~`));
  await expect.poll(found, { interval: 60 }).toHaveLength(2);
  return (await found()).map(({ oid }) => oid);
}

/** A branch, and whether it was prepared. */
async function taken(db: DevDb, client: pg.Client): Promise<{ branch: DevDbBranch; wasPrepared: boolean }> {
  const oids = await ready(client);
  const branch = await db.branch();
  const { rows } = await client.query("select oid::int from pg_database where datname = $1", [branch.database]);
  return { branch, wasPrepared: oids.includes(rows[0].oid) };
}

async function all(client: pg.Client, sql: string): Promise<unknown[]> {
  return (await client.query({ text: sql, rowMode: "array" })).rows;
}

/** As PostgreSQL's CREATE DATABASE says it of its template, DETAIL and all. */
const hasPrepared = {
  code: "55006",
  message: expect.stringMatching(/"postgres".*\b1 prepared transaction\b/),
};

describe("in memory", () => {
  let db: DevDb;
  let sql: pg.Client;
  beforeAll(async () => {
    db = await start({ branches: "on" });
    sql = new pg.Client(db.url);
    await sql.connect();
    await sql.query("create table t (id serial primary key, v text); insert into t (v) values ('a'), ('b')");
    await (await db.branch()).drop();
  });
  afterAll(async () => {
    await sql.end();
    await db.close();
  });

  test("some are there after a first one; their names are no branch's, and nobody can connect to them", async () => {
    await ready(sql);
    const [first] = await preparedOf(sql);
    expect(readBranch(first!.name)).toBeUndefined();
    await expect(connect(db.url.replace(/postgres$/, first!.name))).rejects.toMatchObject({ code: "55000" });
    const { branch, wasPrepared } = await taken(db, sql);
    expect(wasPrepared).toBe(true);
    expect(await all(await connect(branch.url), "select * from t order by id")).toEqual([
      [1, "a"],
      [2, "b"],
    ]);
  });

  test("what has changed since is in a branch, also what is in no log, and what was changed back", async () => {
    await sql.query("create unlogged table u as select 1 as n; create table gone (); create sequence s");
    await sql.query("create role app login; create role other");
    await (await db.branch()).drop();
    await ready(sql);
    for (const statement of [
      "insert into t (v) values ('c'); delete from t where v = 'a'",
      "update u set n = 2",
      "drop table gone; create table made as select 7 as n; create index on made (n)",
      "select nextval('s'), nextval('s')",
      "select lo_from_bytea(4711, 'large')",
      "alter database postgres owner to app",
      "alter database postgres set work_mem = '7MB'; alter database postgres set work_mem = '6MB'",
      "alter role app in database postgres set search_path to app, public",
      "alter table t owner to app",
      "grant connect on database postgres to other",
      "alter database postgres connection limit 50",
    ])
      await sql.query(statement);
    const { branch, wasPrepared } = await taken(db, sql);
    expect(wasPrepared).toBe(true);
    const own = await connect(branch.url);
    expect(await all(own, "select v from t order by id")).toEqual([["b"], ["c"]]);
    expect(await all(own, "select (select n from u), (select n from made), to_regclass('gone')")).toEqual([
      [2, 7, null],
    ]);
    expect(await all(own, "select nextval('s')::int, convert_from(lo_get(4711), 'utf8')")).toEqual([[3, "large"]]);
    expect(await all(own, "show work_mem")).toEqual([["6MB"]]);
    // All that is said of it in the catalogs is what is said of a copy.
    const copy = await copied(db, sql);
    const said = (name: string) =>
      all(
        sql,
        `select to_jsonb(d) - '{oid,datname}'::text[],
          (select jsonb_agg(to_jsonb(p) - 'dbid' order by p::text) from pg_shdepend p where dbid = d.oid),
          (select jsonb_agg(to_jsonb(p) - 'objid' order by p::text) from pg_shdepend p where dbid = 0 and objid = d.oid),
          (select jsonb_agg(to_jsonb(p) - 'setdatabase' order by setrole) from pg_db_role_setting p where setdatabase = d.oid)
        from pg_database d where datname = '${name}'`,
      );
    expect(await said(branch.database)).toEqual(await said(copy.database));
    await own.end();
    await branch.drop();
    await copy.drop();
    await sql.query(
      "alter database postgres owner to postgres; alter database postgres reset all; drop owned by other",
    );
    await sql.query("alter role app in database postgres reset all; alter table t owner to postgres; drop role other");
  });

  test("a role can be dropped that had something when they were made, and not while a branch has something of it", async () => {
    await sql.query("create role late; create table of_late (); alter table of_late owner to late");
    await sql.query("alter database postgres owner to late");
    await (await copied(db, sql)).drop();
    await ready(sql);
    const { branch } = await taken(db, sql);
    await ready(sql);
    await sql.query("drop table of_late; alter database postgres owner to postgres");
    await expect(sql.query("drop role late")).rejects.toThrow("cannot be dropped because some objects depend on it");
    await branch.drop();
    await sql.query("drop role late");
  });

  test("a transaction that is open is waited for; a prepared one, and a name that is taken, are said as ever", async () => {
    await ready(sql);
    const writer = await connect(db.url);
    await writer.query("begin; insert into t (v) values ('late')");
    let isMade = false;
    const made = db.branch("waits").then((branch) => {
      isMade = true;
      return branch;
    });
    await branchWaits(async (text) => (await writer.query(text)).rows.length);
    expect(isMade).toBe(false);
    await writer.query("commit");
    const branch = await made;
    expect(await all(await connect(branch.url), "select v from t where v = 'late'")).toEqual([["late"]]);
    await ready(sql);
    await expect(db.branch("waits")).rejects.toThrow(`database "postgres~waits" already exists`);
    await branch.drop();
    await ready(sql);
    await sql.query("begin; delete from t where v = 'late'; prepare transaction 'p'");
    await expect(db.branch()).rejects.toMatchObject(hasPrepared);
    await sql.query("commit prepared 'p'");
  });

  test("a lock on the database that somebody has elsewhere is waited for no longer than a transaction", {
    tags: "long",
  }, async () => {
    await ready(sql);
    const elsewhere = await connect(db.url.replace(/postgres$/, "template1"));
    await elsewhere.query("begin; comment on database postgres is 'locked'");
    for (const { name } of await preparedOf(sql)) await sql.query(`drop database "${name}"`);
    const { processID } = elsewhere as pg.Client & { processID: number };
    await expect(db.branch()).rejects.toThrow(`a lock that process ${processID} has on the database was waited for`);
    await elsewhere.query("rollback");
    await (await db.branch()).drop();
  });

  test("one that somebody has altered or dropped becomes no branch", async () => {
    const [first] = (await ready(sql), await preparedOf(sql));
    await sql.query(`alter database "${first!.name}" allow_connections true`);
    const intruder = await connect(db.url.replace(/postgres$/, first!.name));
    await intruder.query("create table intruder ()");
    await intruder.end();
    await sql.query(`alter database "${first!.name}" allow_connections false`);
    for (let n = 0; n < 2; n++) {
      const { branch } = await taken(db, sql);
      expect(await all(await connect(branch.url), "select to_regclass('intruder'), count(*)::int from t")).toEqual([
        [null, 2],
      ]);
      for (const { name } of await preparedOf(sql))
        await sql.query(`drop database if exists "${name}"`).catch(() => {});
    }
  });

  test("nor does one of which somebody has made a copy that reads its pages: what is in the buffers is what was copied", async () => {
    await ready(sql);
    const names = (await preparedOf(sql)).map(({ name }) => name);
    for (const name of names) await sql.query(`create database "of ${name}" template "${name}" strategy wal_log`);
    await sql.query("create table later as select 1 as n");
    for (const _ of names) {
      const branch = await db.branch();
      expect(await all(await connect(branch.url), "select n from later")).toEqual([[1]]);
    }
    await sql.query("drop table later");
    for (const name of names) await sql.query(`drop database "of ${name}"`);
  });

  test("what somebody has said of one, or set for it, is not said of a branch", async () => {
    await ready(sql);
    for (const { name } of await preparedOf(sql)) {
      await sql.query(`comment on database "${name}" is 'not of a branch'`);
      await sql.query(`alter database "${name}" set work_mem = '77MB'`);
    }
    const branch = await db.branch();
    const said = "shobj_description(oid, 'pg_database') from pg_database where datname = current_database()";
    expect(await all(await connect(branch.url), `select current_setting('work_mem'), ${said}`)).toEqual([
      ["4MB", null],
    ]);
  });

  test("a database that is dropped has none for long, and another one of its name has its own", async () => {
    const app = (name: string) => db.url.replace(/postgres$/, name);
    for (const n of [1, 2]) {
      await sql.query("create database app");
      const client = await connect(app("app"));
      await client.query(`create table t as select ${n} as n`);
      await (await connect(app("app~w"))).end();
      await ready(sql, "app");
      await client.query("insert into t values (0)");
      await client.end();
      const second = await connect(app("app~w2"));
      expect(await all(second, "select n from t order by n")).toEqual([[0], [n]]);
      await second.end();
      for (const name of ["app", "app~w", "app~w2"]) await sql.query(`drop database "${name}" with (force)`);
      await expect.poll(async () => (await preparedOf(sql)).filter(({ name }) => name.startsWith("app~"))).toEqual([]);
    }
  });

  test("in discrete time none is prepared", async () => {
    await db.clock.discrete(true);
    const before = await preparedOf(sql);
    for (const { name } of before) await sql.query(`drop database "${name}"`);
    const branches = await Promise.all([db.branch(), db.branch()]);
    await anotherPrepares();
    expect(await preparedOf(sql)).toEqual([]);
    await db.clock.discrete(false);
    await ready(sql);
    for (const branch of branches) await branch.drop();
  });

  test(`each is what a copy is, whatever has been done since (SEED=${runSeed})`, async () => {
    const random = new Random(runSeed);
    await sql.query(
      "create table m (id int primary key, v text); insert into m select g, 'v' from generate_series(1, 500) g",
    );
    const changes = [
      () => `update m set v = v || '${random.below(9)}' where id % ${2 + random.below(9)} = 0`,
      () => `delete from m where id = ${1 + random.below(500)}`,
      () =>
        `insert into m values (${501 + random.below(1e6)}, repeat('x', ${random.below(3000)})) on conflict do nothing`,
      () => "vacuum m",
      () => "vacuum full m",
      () => "checkpoint",
      () => "reindex table m",
      () => `create table if not exists n${random.below(3)} as select * from m limit ${random.below(100)}`,
      () => `drop table if exists n${random.below(3)}`,
      () => "create temp table if not exists temporary as select * from m",
      () => "select nextval('s')",
      () => "truncate m; insert into m select g, 'again' from generate_series(1, 300) g",
    ];
    const state = async (client: pg.Client) => [
      await all(client, "select * from m order by id"),
      await all(client, "select relname, relkind, reltuples from pg_class where relnamespace = 2200 order by 1"),
      await all(client, "select last_value, is_called from s"),
    ];
    let prepared = 0;
    for (let round = 0; round < 12; round++) {
      for (let n = random.below(5); n > 0; n--) await sql.query(random.of(changes)());
      if (random.oneIn(2)) await ready(sql);
      for (let n = random.below(3); n > 0; n--) await sql.query(random.of(changes)());
      const { branch, wasPrepared } = await taken(db, sql);
      if (wasPrepared) prepared++;
      const own = new pg.Client(branch.url);
      await own.connect();
      expect([round, await state(own)]).toEqual([round, await state(sql)]);
      await own.query("update m set v = 'own'");
      await own.query("vacuum m");
      await own.end();
      await branch.drop();
    }
    expect(prepared).toBeGreaterThan(8);
  });
});

test("a state that is kept has none, and going back to it leaves none", async () => {
  await using db = await start();
  const sql = await connect(db.url);
  await sql.query("create table t as select 1 as n");
  await (await db.branch("first")).drop();
  await ready(sql);
  // Soon there are some again, but not in what is kept.
  await db.snapshot("one");
  for (let round = 0; round < 3; round++) {
    const branch = await db.branch(`r${round}`);
    await ready(sql);
    await sql.query("insert into t values (2)");
    await (round === 1 ? db.reset() : db.restore("one"));
    expect((await sql.query("select datname from pg_database where datname ~ '~'")).rows).toEqual([]);
    if (round === 1) await sql.query("create table t as select 1 as n");
    await using after = await db.branch(branch.name);
    expect(await all(await connect(after.url), "select n from t")).toEqual([[1]]);
  }
});

test("a server that is closed while one is prepared closes", { tags: "long" }, async () => {
  for (const ms of [0, 4, 8, 12]) {
    const db = await start();
    await db.branch();
    // The moment of the close is what is varied: before, while and after one is prepared.
    await new Promise((resolve) => setTimeout(resolve, ms));
    await db.close();
  }
});

test("with random numbers that repeat none is prepared", async () => {
  await using db = await start({ seedRandom: 1 });
  const sql = await connect(db.url);
  await using _ = await db.branch();
  await anotherPrepares();
  expect(await preparedOf(sql)).toEqual([]);
});

/** Resolves when another server, which begins later, has prepared some twice: this one has had the time for it. */
async function anotherPrepares(): Promise<void> {
  await using db = await start();
  const sql = new pg.Client(db.url);
  await sql.connect();
  for (let n = 0; n < 2; n++) {
    await db.branch();
    await ready(sql);
  }
  await sql.end();
}

/** A branch that was not prepared. */
async function copied(db: DevDb, client: pg.Client): Promise<DevDbBranch> {
  for (const { name } of await preparedOf(client)) await client.query(`drop database "${name}"`);
  const before = (await client.query("select max(oid)::int as oid from pg_database")).rows[0].oid;
  const branch = await db.branch();
  const { rows } = await client.query("select oid::int from pg_database where datname = $1", [branch.database]);
  expect(rows[0].oid).toBeGreaterThan(before);
  return branch;
}
