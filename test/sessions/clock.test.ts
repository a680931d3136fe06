/** `db.clock`: the time of a server, with sessions that stay open. */
import pg from "pg";
import { afterEach, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type DevDb, startDevDb, UsageError } from "../../src/index.ts";
import { temporaryDirectory } from "../support/cli-process.ts";
import { waitUntil } from "../support/wait-until.ts";

const start = (options: Parameters<typeof startDevDb>[0] = {}) =>
  startDevDb({ port: 0, migrations: "none", log: () => {}, ...options });

const dayMs = 86_400_000;

let db: DevDb;
beforeAll(async () => {
  db = await start();
  const client = new pg.Client(db.url);
  await client.connect();
  await client.query("create table t (v int); insert into t values (0); create table done (what text)");
  await client.end();
  return () => db.close();
});
/** The clients of a test are closed when it is over: the time can go back then. */
const open: pg.Client[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((client) => client.end().catch(() => {})));
  await db.clock.reset();
});

async function connect(to: Pick<DevDb, "url"> = db, config: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: to.url, ...config });
  client.on("error", () => {});
  await client.connect();
  if (to === db) open.push(client);
  else onTestFinished(() => client.end());
  return client;
}

async function value(client: pg.Client, sql: string): Promise<unknown> {
  return (await client.query({ text: sql, rowMode: "array" })).rows[0]![0];
}

/** Resolves when so many sessions sleep, or wait for a lock. */
async function waiting(observer: pg.Client, kind: "PgSleep" | "Lock", count: number): Promise<void> {
  const sql = `select count(*)::int from pg_stat_activity where '${kind}' in (wait_event, wait_event_type)`;
  await waitUntil(`${count} wait`, async () => (await value(observer, sql)) === count);
}

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => "done",
    (error: pg.DatabaseError) => error.code,
  );
/** The server's time may be another one by as much as the answer took, and no hour. */
const isAhead = async (client: pg.Client) =>
  Math.abs(((await value(client, "select clock_timestamp()")) as Date).getTime() - Date.now()) > 600_000;
/** In each of its turns the clock could jump. */
async function turns(client: pg.Client): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await client.query("select 1");
}
const aheadDays = async (client: pg.Client) =>
  Math.round((((await value(client, "select clock_timestamp()")) as Date).getTime() - Date.now()) / dayMs) + 0;

describe("the time", () => {
  test("is what it was set to in all sessions, also those that are open, and goes on", async () => {
    const [early, busy] = [await connect(), await connect()];
    await early.query("select 1");
    await busy.query("begin");
    const before = await value(busy, "select now()");
    await db.clock.set("2040-02-29T12:00:00Z");
    expect(await value(early, "select now()::date::text")).toBe("2040-02-29");
    expect(await value(await connect(), "select pg_postmaster_start_time() < now() - interval '10 years'")).toBe(true);
    expect(await value(busy, "select now()")).toEqual(before);
    expect(await value(busy, "select clock_timestamp()::date::text")).toBe("2040-02-29");
    const nowMs = async () => ((await value(early, "select now()")) as Date).getTime();
    const setMs = await nowMs();
    await waitUntil("it goes on", async () => (await nowMs()) > setMs + 30);
    await db.clock.set(new Date("2050-01-01T00:00:00Z"));
    expect(await value(early, "select extract(year from now())::int")).toBe(2050);
  });

  test("has microseconds: each transaction begins at another time", async () => {
    const client = await connect();
    await client.query("create table stamps (id int, at timestamptz default now())");
    for (let id = 0; id < 200; id++) await client.query("insert into stamps values ($1)", [id]);
    expect(await value(client, "select count(distinct at)::int from stamps")).toBe(200);
    const inOrder = "select array_agg(id order by at) = array_agg(id order by id) from stamps";
    expect(await value(client, inOrder)).toBe(true);
    await client.query("drop table stamps");
  });

  test("passes by spans", async () => {
    const client = await connect();
    await db.clock.advance({ days: 30, hours: 23, minutes: 59, seconds: 60 });
    expect(await aheadDays(client)).toBe(31);
    await db.clock.advance(-0);
    await db.clock.advance(dayMs);
    expect(await aheadDays(client)).toBe(32);
  });

  test("goes back only while nobody is connected", async () => {
    await db.clock.set("2001-03-04T05:06:07Z");
    const client = await connect();
    expect(await value(client, "select now()::date::text")).toBe("2001-03-04");
    expect(
      await value(
        client,
        "select age(now()) < interval '1 day' and now() >= backend_start from pg_stat_activity where pid = pg_backend_pid()",
      ),
    ).toBe(true);
    await db.clock.set("2031-01-01T00:00:00Z");
    const refused = await db.clock.set("2030-06-07T08:09:10Z").catch((error) => error);
    expect(refused).toMatchObject({ code: "55006" });
    expect(refused.message).toMatch(
      /^the time cannot go back from 2031-01-01T00:00:0.* to 2030-06-07T08:09:10\.\d+Z while clients are connected, 1 of them: connection \d+\./,
    );
    await expect(db.clock.reset()).rejects.toThrow("cannot go back");
    expect(await value(client, "select extract(year from now())::int")).toBe(2031);
    await client.end();
    await db.clock.reset();
    expect(await aheadDays(await connect())).toBe(0);
  });

  test("is none that PostgreSQL or a driver cannot have", async () => {
    for (const time of ["1969-12-31T00:00:00Z", new Date(8.64e15), -1e14])
      await expect(db.clock.set(time)).rejects.toMatchObject({
        code: "22008",
        message: "the time can be from 1970-01-02T00:00:00.000Z to 9999-12-31T00:00:00.000Z",
      });
    await expect(db.clock.advance({ days: 1e9 })).rejects.toMatchObject({ code: "22008" });
    await expect(db.clock.set("tomorrow")).rejects.toThrow(UsageError);
    await expect(db.clock.advance(Number.NaN)).rejects.toThrow(UsageError);
    await expect(db.clock.advance({ weeks: 1 } as never)).rejects.toThrow(UsageError);
    await expect(db.clock.advance(undefined as never)).rejects.toThrow("undefined is no time");
    await expect(db.clock.discrete("off" as never)).rejects.toThrow('"off" is neither true nor false');
    for (const [time, date] of [
      ["1970-01-02T00:00:00Z", "1970-01-02"],
      ["9999-12-30T00:00:00Z", "9999-12-30"],
    ] as const) {
      await db.clock.reset();
      await db.clock.set(time);
      const client = await connect();
      await client.query("create table x (at timestamptz default now()); insert into x default values; checkpoint");
      expect(await value(client, "select at::date::text from x")).toBe(date);
      expect(
        await codeOf(client.query("set statement_timeout = 30; select count(*) from generate_series(1, 1e9)")),
      ).toBe("57014");
      await client.query("reset statement_timeout; drop table x");
      await client.end();
    }
  });

  test("is the real one again in the next server of a directory", { tags: "long" }, async () => {
    const path = temporaryDirectory();
    const first = await start({ db: path });
    await first.clock.set("2035-01-01T00:00:00Z");
    const client = await connect(first);
    await client.query("create table t as select now() as at");
    await client.end();
    await first.close();
    const second = await start({ db: path });
    onTestFinished(() => second.close());
    const next = await connect(second);
    expect(await value(next, "select at::date::text from t")).toBe("2035-01-01");
    expect(await aheadDays(next)).toBe(0);
    await second.clock.discrete(true);
    await next.query("select pg_sleep(86400)");
    expect(await aheadDays(next)).toBe(1);
    await next.query("checkpoint");
  });

  test("is the machine's with shared sessions", { tags: "long" }, async () => {
    const shared = await start({ sessions: "shared" });
    onTestFinished(() => shared.close());
    for (const change of [shared.clock.advance(1), shared.clock.reset(), shared.clock.discrete(true)])
      await expect(change).rejects.toThrow("db.clock needs a PostgreSQL session for each connection");
  });
});

describe("behind a jump", () => {
  test("what a statement or a transaction may take is counted as before", async () => {
    const [one, other] = [await connect(), await connect()];
    await Promise.all([one.query("select 1"), other.query("select 1")]);
    await db.clock.advance({ days: 366 });
    await one.query("set statement_timeout = '150ms'");
    expect(await codeOf(one.query("select count(*) from generate_series(1, 1e9)"))).toBe("57014");
    expect(await codeOf(one.query("select pg_sleep(60)"))).toBe("57014");
    await one.query("reset statement_timeout; set statement_timeout = '60s'");
    expect(await codeOf(one.query("select pg_sleep(0.01)"))).toBe("done");
    await one.query("reset statement_timeout; set lock_timeout = '150ms'");
    await other.query("begin; update t set v = 1");
    expect(await codeOf(one.query("update t set v = 2"))).toBe("55P03");
    await one.query("reset lock_timeout; set transaction_timeout = '150ms'");
    expect(await codeOf(one.query("select pg_sleep(60)"))).toBe("25P04");
    await other.query("rollback");
  });

  test("deadlocks are found, and plans have true times", async () => {
    const [one, other] = [await connect(), await connect()];
    await one.query("create table if not exists pair as select generate_series(1, 2) as id, 0 as v");
    await db.clock.advance({ days: 366 });
    await one.query("begin; update pair set v = 1 where id = 1");
    await other.query("begin; update pair set v = 1 where id = 2");
    const codes = await Promise.all([
      codeOf(one.query("update pair set v = 2 where id = 2").finally(() => one.query("rollback"))),
      codeOf(other.query("update pair set v = 2 where id = 1").finally(() => other.query("rollback"))),
    ]);
    expect(codes.sort()).toEqual(["40P01", "done"]);
    const plan = (await value(one, "explain (analyze, format json) select pg_sleep(0.05)")) as [
      { "Execution Time": number },
    ];
    expect(plan[0]["Execution Time"]).toBeGreaterThan(49);
    expect(plan[0]["Execution Time"]).toBeLessThan(dayMs);
  });

  test("what was waiting has waited so long", async () => {
    const [sleeper, late] = [await connect(), await connect()];
    await late.query("set statement_timeout = '1h'");
    const slept = sleeper.query("select pg_sleep(86400)");
    const ended = codeOf(late.query("select pg_sleep(86400)"));
    await waiting(await connect(), "PgSleep", 2);
    await db.clock.advance({ hours: 23, minutes: 59 });
    expect(await ended).toBe("57014");
    await db.clock.advance({ minutes: 1 });
    await slept;
  });

  test("how long a client idles is real time, and how old its transaction is, is not", async () => {
    const [idle, young] = [await connect(), await connect()];
    await idle.query("set idle_session_timeout = '1h'; set idle_in_transaction_session_timeout = '1h'");
    await idle.query("begin");
    const over = new Promise<pg.DatabaseError>((resolve) => young.on("error", (error) => resolve(error as never)));
    await young.query("set transaction_timeout = '1h'");
    await young.query("begin");
    await db.clock.advance({ hours: 2 });
    expect(await over).toMatchObject({ code: "25P04" });
    await idle.query("commit");
    await idle.query("listen changed");
    await db.clock.advance({ hours: 2 });
    await (await connect()).query("notify changed");
    expect(await value(idle, "select 1")).toBe(1);
    await idle.query("set idle_session_timeout = '100ms'");
    const gone = new Promise<pg.DatabaseError>((resolve) => idle.on("error", (error) => resolve(error as never)));
    expect(await gone).toMatchObject({ code: "57P05" });
  });
});

describe("in discrete time", () => {
  test("it ends before the year 10000, and then nothing waits for less than it takes", async () => {
    const client = await connect();
    await db.clock.set("9999-12-30T23:59:58Z");
    await db.clock.discrete(true);
    await client.query("select pg_sleep(1)");
    // The real time is the point: what is left of the year, one second, is waited for, however slow the machine is.
    const began = performance.now();
    await client.query("select pg_sleep(3)");
    expect(performance.now() - began).toBeGreaterThan(500);
    expect(await value(client, "select extract(year from now())::int")).toBe(9999);
    await client.end();
    await db.clock.reset();
  });

  test("sleep is over at once, for everybody", async () => {
    await db.clock.discrete(true);
    const [one, other] = [await connect(), await connect()];
    await one.query("select pg_sleep(86400)");
    expect(await aheadDays(other)).toBe(1);
    await one.query("select pg_sleep_for('30 days')");
    expect(await aheadDays(other)).toBe(31);
    const plan = (await value(one, "explain (analyze, format json) select pg_sleep(7)")) as [
      { "Execution Time": number },
    ];
    // With the real time that it took, which a machine that is busy makes longer.
    expect(plan[0]["Execution Time"]).toBeGreaterThanOrEqual(7000);
    expect(plan[0]["Execution Time"]).toBeLessThan(60_000);
    await db.clock.discrete(false);
    await one.query("set statement_timeout = 100");
    expect(await codeOf(one.query("select pg_sleep(86400)"))).toBe("57014");
    expect(await aheadDays(other)).toBe(31);
  });

  test("sleeps end in the order of their times, and none while a statement computes", async () => {
    const clients = [await connect(), await connect(), await connect()] as const;
    await clients[0].query("truncate done");
    const note = (client: pg.Client, name: string, work: string) =>
      client.query(`do $$ begin ${work}; insert into done values ('${name}'); end $$`);
    const sleeps = [note(clients[0], "A", "perform pg_sleep(1000)"), note(clients[1], "B", "perform pg_sleep(500)")];
    await waiting(clients[2], "PgSleep", 2);
    const begun = new Promise((resolve) => clients[2].once("notice", resolve));
    const computes = note(clients[2], "C", "raise notice 'begun'; for i in 1..200000 loop perform i + 1; end loop");
    await begun;
    await db.clock.discrete(true);
    await Promise.all([...sleeps, computes]);
    const { rows } = await clients[0].query({ text: "select what from done", rowMode: "array" });
    expect(rows.flat()).toEqual(["C", "B", "A"]);
  });

  test("timeouts end what waits, sooner than what takes longer", async () => {
    await db.clock.discrete(true);
    const [one, other] = [await connect(), await connect()];
    await one.query("set statement_timeout = '5min'");
    expect(await codeOf(one.query("select pg_sleep(3600)"))).toBe("57014");
    await one.query("set statement_timeout = 0; set transaction_timeout = '1h'");
    expect(await codeOf(one.query("select pg_sleep(7200)"))).toBe("25P04");
    await other.query("set statement_timeout = '150ms'");
    expect(await codeOf(other.query("select count(*) from generate_series(1, 1e9)"))).toBe("57014");
  });

  test("a lock of whoever sleeps is waited for to its end, or to that of the wait", async () => {
    const [holder, waiter, observer] = [await connect(), await connect(), await connect()];
    await waiter.query("set lock_timeout = '2h'");
    // As one statement of both: nobody's client takes part.
    const hold = holder.query("do $$ begin update t set v = 5; perform pg_sleep(3600); end $$");
    await waiting(observer, "PgSleep", 1);
    const waited = waiter.query("update t set v = v + 1 returning v");
    await waiting(observer, "Lock", 1);
    await db.clock.discrete(true);
    expect((await waited).rows).toEqual([{ v: 6 }]);
    await hold;
    await db.clock.discrete(false);
    await waiter.query("set lock_timeout = '1h'");
    const holdLonger = holder.query("do $$ begin update t set v = 5; perform pg_sleep(7200); end $$");
    await waiting(observer, "PgSleep", 1);
    const refused = codeOf(waiter.query("update t set v = v + 1"));
    await waiting(observer, "Lock", 1);
    await db.clock.discrete(true);
    expect(await refused).toBe("55P03");
    await holdLonger;
  });

  test("what a client or nobody could end is not waited for by a jump", async () => {
    await db.clock.discrete(true);
    const [holder, waiter, other] = [await connect(), await connect(), await connect()];
    await holder.query("begin; update t set v = 7");
    await waiter.query("set lock_timeout = '1h'");
    const waited = waiter.query("update t set v = v + 1 returning v");
    await waiting(other, "Lock", 1);
    await turns(other);
    expect(await isAhead(other)).toBe(false);
    expect(
      await value(
        other,
        "select now() < clock_timestamp() + interval '1 minute' and age(now(), query_start) < '1 minute' from pg_stat_activity where wait_event_type = 'Lock'",
      ),
    ).toBe(true);
    await holder.query("commit");
    expect((await waited).rows).toEqual([{ v: 8 }]);
    // Nobody waits: the time is the real one.
    await turns(other);
    expect(await isAhead(other)).toBe(false);
  });

  test("a prepared transaction's lock is nobody's to give back", async () => {
    await db.clock.discrete(true);
    const [holder, waiter] = [await connect(), await connect()];
    await holder.query("begin; update t set v = 7");
    await holder.query("prepare transaction 'p'");
    await waiter.query("set lock_timeout = '1h'");
    const waited = waiter.query("update t set v = v + 1");
    await waiting(holder, "Lock", 1);
    await turns(holder);
    expect(await isAhead(holder)).toBe(false);
    expect(await value(holder, "select count(*)::int from pg_stat_activity where wait_event_type = 'Lock'")).toBe(1);
    await holder.query("rollback prepared 'p'");
    await waited;
  });

  test("a year is jumped over without a checkpoint for every five minutes of it", async () => {
    const client = await connect();
    const checkpoints = async () =>
      Number(await value(client, "select num_timed + num_requested from pg_stat_checkpointer"));
    await client.query("insert into done values ('before')");
    const before = await checkpoints();
    await db.clock.advance({ days: 365 });
    await client.query("insert into done values ('behind')");
    await db.clock.discrete(true);
    await client.query("select pg_sleep(86400 * 30)");
    expect((await checkpoints()) - before).toBeLessThan(3);
    await db.clock.discrete(false);
  });

  test("a database is dropped, made and vacuumed as ever", async () => {
    await db.clock.discrete(true);
    const client = await connect();
    const user = await connect();
    await client.query("create database other");
    const inside = await connect({ url: db.url.replace(/postgres$/, "other") });
    await inside.query("select 1");
    const dropped = client.query("drop database other");
    const [slept, observer] = [user.query("select pg_sleep(1000)"), await connect()];
    const dropping =
      "select count(*)::int from pg_stat_activity where query = 'drop database other' and state = 'active'";
    await waitUntil("the database is being dropped", async () => (await value(observer, dropping)) === 1);
    await turns(observer);
    await inside.end();
    await Promise.all([dropped, slept]);
    await client.query("insert into done select 'x' from generate_series(1, 1000)");
    await client.query("delete from done");
    await client.query("vacuum done");
  });
});
