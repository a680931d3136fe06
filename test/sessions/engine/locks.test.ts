/** Waiting for locks: a blocked backend is parked with its stack, others run, and it goes on as in PostgreSQL. */
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import type { SessionHost } from "../../../src/sessions/host.ts";
import { bytesInput } from "../../../src/sessions/session-context.ts";
import { encodeQuery } from "../../../src/wire/frontend.ts";
import { openHost } from "./support/open-host.ts";
import { SqlSession } from "./support/sql-session.ts";

let host: SessionHost;
let a: SqlSession;
let b: SqlSession;
let c: SqlSession;

beforeAll(async () => {
  host = await openHost({ dataDir: "memory://", maxSessions: 12 });
  [a, b, c] = [await SqlSession.open(host), await SqlSession.open(host), await SqlSession.open(host)];
  await a.rows("create table t (id int primary key, v text)");
});
afterAll(() => host?.close());
beforeEach(async () => {
  for (const session of [a, b, c]) await session.rows("rollback");
  await a.rows("truncate t; insert into t select g, 'v' from generate_series(1, 5) g");
});

test("an update waits for the row's holder and then works on the new version of the row", async () => {
  await a.rows("begin; update t set v = v || 'A' where id = 1");
  const waiting = await b.startsWaiting("update t set v = v || 'B' where id = 1 returning v");
  expect(await c.rows("select v from t where id = 1")).toEqual(["v"]);
  await a.rows("commit");
  expect((await waiting.answer).rows).toEqual(["vAB"]);
});

test("a waiting update skips a row that no longer matches", async () => {
  await a.rows("begin; update t set v = 'gone' where id = 1");
  const waiting = await b.startsWaiting("update t set v = 'B' where v = 'v' and id < 3 returning id");
  await a.rows("commit");
  expect((await waiting.answer).rows).toEqual(["2"]);
});

test("REPEATABLE READ fails with 40001 where READ COMMITTED goes on", async () => {
  await b.rows("begin isolation level repeatable read; select count(*) from t");
  await a.rows("begin; update t set v = 'A' where id = 1");
  const waiting = await b.startsWaiting("update t set v = 'B' where id = 1");
  await a.rows("commit");
  expect(await waiting.answer).toMatchObject({ error: "40001", status: "E" });
});

test("SERIALIZABLE finds write skew", async () => {
  for (const session of [a, b]) await session.rows("begin isolation level serializable; select count(*) from t");
  await a.rows("update t set v = 'A' where id = 1");
  await b.rows("update t set v = 'B' where id = 2");
  expect((await a.query("commit")).error).toBeUndefined();
  expect((await b.query("commit")).error).toBe("40001");
});

test("a deadlock is found at once, with PostgreSQL's text, and the victim is the one whose check comes first", async () => {
  await a.rows("begin; set local deadlock_timeout = '800s'; update t set v = 'A' where id = 1");
  await b.rows("begin; set local deadlock_timeout = '900s'; update t set v = 'B' where id = 2");
  const first = await a.startsWaiting("update t set v = 'A' where id = 2");
  const second = b.query("update t set v = 'B' where id = 1 returning v");
  const victim = await first.answer;
  expect(victim).toMatchObject({ error: "40P01", message: "deadlock detected", status: "E" });
  expect(victim.detail).toMatch(
    /^Process \d+ waits for ShareLock on transaction \d+; blocked by process \d+\.\nProcess \d+ waits for ShareLock on transaction \d+; blocked by process \d+\.$/,
  );
  expect((await second).rows).toEqual(["B"]);
});

test("the one that closes the circle is the victim if its deadlock_timeout ends first", async () => {
  await a.rows("begin; set local deadlock_timeout = '900s'; update t set v = 'A' where id = 1");
  await b.rows("begin; set local deadlock_timeout = '800s'; update t set v = 'B' where id = 2");
  const first = await a.startsWaiting("update t set v = 'A' where id = 2 returning v");
  expect((await b.query("update t set v = 'B' where id = 1")).error).toBe("40P01");
  expect((await first.answer).rows).toEqual(["A"]);
});

test.each([
  ["lock_timeout", "55P03"],
  ["statement_timeout", "57014"],
])("%s that ends before anybody looks for a deadlock ends the wait, not the check", async (timeout, code) => {
  await a.rows(
    `begin; set local deadlock_timeout = '800s'; set local ${timeout} = 700; update t set v = 'A' where id = 1`,
  );
  await b.rows("begin; set local deadlock_timeout = '900s'; update t set v = 'B' where id = 2");
  const first = await a.startsWaiting("update t set v = 'A' where id = 2");
  const second = b.query("update t set v = 'B' where id = 1 returning v");
  expect(await first.answer).toMatchObject({ error: code, status: "E" });
  await a.rows("rollback");
  expect((await second).rows).toEqual(["B"]);
});

test("of waits that begin in the same millisecond the first one is the victim, wherever the milliseconds of the clock begin", async () => {
  await a.rows("begin; update t set v = 'A' where id = 1");
  await b.rows("begin; update t set v = 'B' where id = 2");
  const first = await a.startsWaiting("update t set v = 'A' where id = 2");
  let wallMs = Date.now();
  // The timer of the second wait is started at one time and looked at a time later.
  const clock = vi.spyOn(Date, "now").mockImplementation(() => (wallMs += 100));
  const second = b.query("update t set v = 'B' where id = 1 returning v");
  const victim = await first.answer;
  const rows = (await second).rows;
  clock.mockRestore();
  expect(victim.error).toBe("40P01");
  expect(rows).toEqual(["B"]);
});

describe("a wait that closes two circles at once", () => {
  const begin = async (timeouts: readonly [a: number, b: number, c: number]) => {
    for (const [at, session] of [a, b, c].entries())
      await session.rows(`begin; set local deadlock_timeout = '${timeouts[at]}s'`);
    for (const session of [a, c]) await session.rows("select pg_advisory_xact_lock_shared(1)");
    await b.rows("select pg_advisory_xact_lock(2)");
    const waits = [await a.startsWaiting("select pg_advisory_xact_lock_shared(2)")];
    waits.push(await c.startsWaiting("select pg_advisory_xact_lock_shared(2)"));
    const closing = b.query("select pg_advisory_xact_lock(1)");
    return [waits[0]!.answer, closing, waits[1]!.answer] as const;
  };

  test("has a victim in each, if the check of the one that began it comes last", async () => {
    const [first, closing, second] = await begin([700, 900, 800]);
    expect((await first).error).toBe("40P01");
    expect((await second).error).toBe("40P01");
    expect((await closing).error).toBeUndefined();
  });

  test("is the second victim itself, if its check comes between theirs", async () => {
    const [first, closing, second] = await begin([700, 800, 900]);
    expect((await first).error).toBe("40P01");
    expect((await closing).error).toBe("40P01");
    expect((await second).error).toBeUndefined();
  });
});

test("a holder of a lock that does not conflict makes no circle, and what it waits for is waited for", async () => {
  await a.rows("begin; lock table t in access share mode; select pg_advisory_xact_lock_shared(1)");
  await b.rows("begin; select pg_advisory_xact_lock(2)");
  await c.rows("begin; lock table t in share row exclusive mode");
  const first = await a.startsWaiting("select pg_advisory_xact_lock(2)");
  const second = await b.startsWaiting("lock table t in row exclusive mode");
  await c.rows("commit");
  await second.answer;
  await b.rows("commit");
  expect((await first.answer).error).toBeUndefined();
});

test("one that computes goes on before those that it has woken, if somebody decides who goes on", async () => {
  const { scheduler, machine, isAskedToGiveWay } = host;
  const interruptPending = machine.address("InterruptPending");
  // As the watchdog does with a turn that lasts: here when its client is told something, behind the unlock.
  const asksToGiveWay = () => machine.setWord(interruptPending, 1);
  const unlocks = `select pg_advisory_unlock(1); do $$ begin raise notice 'unlocked'; end $$;
    select count(*) from generate_series(1, 10); insert into t select 20, 'behind ' || count(*) from t where id = 10`;
  const insert = async (): Promise<string[]> => {
    await a.rows("truncate t");
    await b.rows("select pg_advisory_lock(1)");
    const { answer } = await a.startsWaiting("select pg_advisory_lock(1); insert into t values (10, 'a')");
    await b.session.run(bytesInput(encodeQuery(unlocks)), asksToGiveWay);
    await answer;
    await a.rows("select pg_advisory_unlock_all()");
    return a.rows("select v from t where id = 20");
  };
  host.isAskedToGiveWay = () => true;
  onTestFinished(() => {
    host.isAskedToGiveWay = isAskedToGiveWay;
    scheduler.decided.clear();
  });
  expect(await insert()).toEqual(["behind 1"]);
  for (const { session } of [a, b]) scheduler.decided.add(session.pid);
  expect(await insert()).toEqual(["behind 0"]);
});

test("a deadlock of three over different kinds of locks is found", async () => {
  await a.rows("begin; select pg_advisory_xact_lock(7)");
  await b.rows("begin; lock table t in share row exclusive mode");
  await c.rows("begin; select pg_advisory_xact_lock(8)");
  const first = await a.startsWaiting("insert into t values (100, 'a')");
  const second = await b.startsWaiting("select pg_advisory_xact_lock(8)");
  const third = c.query("select pg_advisory_xact_lock(7)");
  expect((await first.answer).error).toBe("40P01");
  expect((await third).error).toBeUndefined();
  await c.rows("commit");
  expect((await second.answer).error).toBeUndefined();
});

test("NOWAIT fails and SKIP LOCKED passes by", async () => {
  await a.rows("begin; select * from t where id = 1 for update");
  expect((await b.query("select * from t where id = 1 for update nowait")).error).toBe("55P03");
  expect(await b.rows("select id from t order by id limit 2 for update skip locked")).toEqual(["2", "3"]);
});

test("a second insert of a key waits and then fails, or succeeds if the first is rolled back", async () => {
  await a.rows("begin; insert into t values (50, 'a')");
  const refused = await b.startsWaiting("insert into t values (50, 'b')");
  await a.rows("commit");
  expect((await refused.answer).error).toBe("23505");
  await a.rows("begin; insert into t values (51, 'a')");
  const accepted = await b.startsWaiting("insert into t values (51, 'b') returning v");
  await a.rows("rollback");
  expect((await accepted.answer).rows).toEqual(["b"]);
});

test("advisory locks of an idle session hold others up until they are given back", async () => {
  await a.rows("select pg_advisory_lock(1)");
  expect(await b.rows("select pg_try_advisory_lock(1)")).toEqual(["f"]);
  const waiting = await b.startsWaiting("select pg_advisory_lock(1)");
  await a.rows("select pg_advisory_unlock(1)");
  await waiting.answer;
  expect(await a.rows("select pg_try_advisory_lock(1)")).toEqual(["f"]);
  await b.rows("select pg_advisory_unlock_all()");
});

test("waiters for a table lock are served in the order in which they came", async () => {
  const order: string[] = [];
  await a.rows("begin; lock table t in access exclusive mode");
  const second = await b.startsWaiting("begin; lock table t in access exclusive mode");
  const third = await c.startsWaiting("begin; lock table t in access exclusive mode");
  const fourth = await SqlSession.open(host);
  const read = await fourth.startsWaiting("select count(*) from t");
  const done = [
    second.answer.then(
      async () => (order.push("b"), expect(host.scheduler.isParked(c.session)).toBe(true), b.rows("commit")),
    ),
    third.answer.then(async () => (order.push("c"), c.rows("commit"))),
    read.answer.then(() => order.push("d")),
  ];
  await a.rows("commit");
  await Promise.all(done);
  expect(order).toEqual(["b", "c", "d"]);
  await fourth.close();
});

test("the waits are to be seen in pg_stat_activity, pg_locks and pg_blocking_pids", async () => {
  await a.rows("begin; update t set v = 'A' where id = 1");
  const second = await b.startsWaiting("update t set v = 'B' where id = 1");
  const third = await c.startsWaiting("update t set v = 'C' where id = 1");
  const waits = await a.rows(
    "select pid, wait_event_type, wait_event, pg_blocking_pids(pid) from pg_stat_activity where wait_event_type = 'Lock' order by pid",
  );
  expect(waits).toEqual([
    `${b.session.pid}|Lock|transactionid|{${a.session.pid}}`,
    `${c.session.pid}|Lock|tuple|{${b.session.pid}}`,
  ]);
  expect(await a.rows("select count(*) from pg_locks where not granted")).toEqual(["2"]);
  await a.rows("commit");
  await Promise.all([second.answer, third.answer]);
  expect(await a.rows("select v from t where id = 1")).toEqual(["C"]);
});

test("a session is parked in the middle of a PL/pgSQL block that catches errors, and the block goes on", async () => {
  await a.rows("begin; update t set v = 'A' where id = 1");
  const waiting = await b.startsWaiting(`do $$
    begin
      begin
        update t set v = v || 'B' where id = 1;
        perform 1 / 0;
      exception when division_by_zero then
        raise notice 'caught, v is %', (select v from t where id = 1);
      end;
      update t set v = v || 'B' where id = 2;
    end $$`);
  // Errors are caught in another session meanwhile: setjmp and longjmp of one stack must not meet the other's.
  expect(await c.rows("do $$ begin perform 1 / 0; exception when division_by_zero then null; end $$")).toEqual([]);
  expect((await c.query("select 1 / 0")).error).toBe("22012");
  await a.rows("commit");
  expect((await waiting.answer).notices).toEqual(["caught, v is A"]);
  expect(await c.rows("select v from t where id < 3 order by id")).toEqual(["A", "vB"]);
});

test("DDL waits for an open reader, and a prepared transaction holds its locks", async () => {
  await a.rows("begin; select * from t");
  const ddl = await b.startsWaiting("alter table t add w int");
  await a.rows("commit");
  expect((await ddl.answer).error).toBeUndefined();
  await a.rows("begin; update t set v = 'two-phase' where id = 1; prepare transaction 'p'");
  const waiting = await b.startsWaiting("update t set v = v || 'B' where id = 1 returning v");
  await c.rows("commit prepared 'p'");
  expect((await waiting.answer).rows).toEqual(["two-phaseB"]);
});

test("CREATE INDEX CONCURRENTLY waits for older transactions", async () => {
  await a.rows("begin; insert into t values (60, 'a')");
  const index = await b.startsWaiting("create index concurrently on t (v)");
  expect(await c.rows("select count(*) from t")).toEqual(["5"]);
  await a.rows("commit");
  expect((await index.answer).error).toBeUndefined();
});

test("an idle transaction without a snapshot of its own holds up neither CREATE INDEX CONCURRENTLY nor VACUUM", async () => {
  await a.rows("create table other (id int)");
  const idle = await SqlSession.open(host);
  // The first look into the catalogs is done with a snapshot that PostgreSQL keeps for the next ones.
  await idle.rows("begin; lock table other in row exclusive mode");
  expect((await b.query("create index concurrently on t (v)")).error).toBeUndefined();
  expect(await a.rows(`select backend_xmin is null from pg_stat_activity where pid = ${idle.session.pid}`)).toEqual([
    "t",
  ]);
  await idle.rows("declare open cursor for select 1; fetch open");
  expect(await a.rows(`select backend_xmin is null from pg_stat_activity where pid = ${idle.session.pid}`)).toEqual([
    "f",
  ]);
  expect(await idle.rows("commit")).toEqual([]);
  await idle.close();
  await a.rows("drop table other");
});
