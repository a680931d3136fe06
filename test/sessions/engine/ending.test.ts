/** How sessions end, and that nothing of them is left; and what the engine does when it needs more memory. */
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { SessionHost } from "../../../src/sessions/host.ts";
import { checkSessions } from "../../../src/sessions/self-check.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { openHost } from "./support/open-host.ts";
import { SqlSession } from "./support/sql-session.ts";

const maxSessions = 8;
let host: SessionHost;
let a: SqlSession;

beforeAll(async () => {
  // The self-check opens and ends sessions as well.
  host = await openHost({ dataDir: "memory://", maxSessions });
  await checkSessions(host);
  a = await SqlSession.open(host);
  await a.rows("create table t (id int primary key, v int); insert into t select g, 0 from generate_series(1, 9) g");
});
afterAll(() => host?.close());

async function leftovers(): Promise<string[]> {
  return a.rows(`select 'lock of ' || pid from pg_locks where pid <> pg_backend_pid() union all
    select 'backend ' || pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() union all
    select 'temporary ' || relname from pg_class where relpersistence = 't'`);
}

test("a session that is closed in a transaction leaves no lock, no row and no temporary table", async () => {
  const b = await SqlSession.open(host);
  await b.rows("create temp table mine (x int); select pg_advisory_lock(5); listen news");
  await b.rows("begin; update t set v = 1 where id = 1; create table half_made (x int)");
  await b.close();
  expect(await leftovers()).toEqual([]);
  expect(await a.rows("select v from t where id = 1")).toEqual(["0"]);
  expect(await a.rows("select to_regclass('half_made') is null")).toEqual(["t"]);
  expect(await a.rows("select pg_try_advisory_lock(5), pg_advisory_unlock_all()")).toEqual(["t|"]);
});

test("a session that is closed while it waits for a lock ends, and its place in the queue is free", async () => {
  await a.rows("begin; update t set v = 1 where id = 1");
  const [b, c] = [await SqlSession.open(host), await SqlSession.open(host)];
  const abandoned = await b.startsWaiting("update t set v = 2 where id = 1");
  const waiting = await c.startsWaiting("update t set v = v + 10 where id = 1 returning v");
  await b.close();
  expect((await abandoned.answer).status).toBe("ended");
  await a.rows("commit");
  expect((await waiting.answer).rows).toEqual(["11"]);
  await c.close();
  expect(await leftovers()).toEqual([]);
});

test("a session that is closed in the middle of a COPY ends and keeps nothing of it", async () => {
  const b = await SqlSession.open(host);
  const copy = b.send({ pending: true, read: firstThenNothing(copyStatement) });
  await b.parked();
  await b.close();
  expect((await copy).status).toBe("ended");
  expect(await a.rows("select count(*) from t where id > 100")).toEqual(["0"]);
  expect(await leftovers()).toEqual([]);
});

test("the places of ended sessions are used again, clean", async () => {
  for (let round = 0; round < 5 * maxSessions; round++) {
    const b = await SqlSession.open(host);
    expect(await b.rows("show work_mem")).toEqual(["4MB"]);
    await b.rows("set work_mem = '9MB'; create temp table mine (x int); prepare p as select 1");
    await b.close();
  }
  expect(await leftovers()).toEqual([]);
  expect(host.openSessions).toBe(1);
});

test("all places can be taken at once, and one more is refused", async () => {
  const sessions: SqlSession[] = [];
  for (let count = host.openSessions; count < maxSessions; count++) sessions.push(await SqlSession.open(host));
  await expect(SqlSession.open(host)).rejects.toThrow("sorry, too many clients already");
  await Promise.all(sessions.map((session) => session.close()));
  expect(await leftovers()).toEqual([]);
});

test("an idle session that is told to end by another says why", async () => {
  const b = await SqlSession.open(host);
  await a.rows(`select pg_terminate_backend(${b.session.pid})`);
  await waitUntil("the session has said why it ended", () => b.outsideTypes() === "E");
  expect((await b.query("select 1")).status).toBe("ended");
});

test("the memory grows in one session and the others go on, also one that was parked meanwhile", {
  tags: "long",
}, async () => {
  const b = await SqlSession.open(host);
  const c = await SqlSession.open(host);
  await a.rows("select pg_advisory_lock(7)");
  const parked = await c.startsWaiting("select pg_advisory_lock(7), 'c is well'");
  const before = host.machine.memory.buffer.byteLength;
  await b.rows("set work_mem = '400MB'");
  expect(
    await b.rows(
      "select count(*), sum(length(x)) from (select repeat('x', 300) || g x from generate_series(1, 600000) g order by 1) s",
    ),
  ).toEqual(["600000|183488895"]);
  expect(host.machine.memory.buffer.byteLength).toBeGreaterThan(before);
  // It waits still, again after it has looked for a deadlock.
  await c.parked();
  await a.rows("select pg_advisory_unlock(7)");
  expect((await parked.answer).rows).toEqual(["|c is well"]);
  expect(await a.rows("select count(*) from t")).toEqual(["9"]);
  await Promise.all([b.close(), c.close()]);
  expect(await a.rows("select count(*) from t")).toEqual(["9"]);
});

const copyStatement = Buffer.from("Q\0\0\0\x16copy t from stdin\0", "latin1");

function firstThenNothing(first: Uint8Array) {
  let sent = false;
  return (): Uint8Array | Promise<Uint8Array> => {
    if (sent) return new Promise(() => undefined);
    sent = true;
    return first;
  };
}

test("a session that waits for a place does not begin while there are to be none", async () => {
  const full = await openHost({ dataDir: "memory://", maxSessions: 2 });
  onTestFinished(() => full.close());
  await SqlSession.open(full);
  const leaving = await SqlSession.open(full);
  const left = leaving.close();
  const begun = SqlSession.open(full);
  let open: number | undefined;
  await full.withoutSessions(() => {
    open = full.openSessions;
  });
  await left;
  expect(open).toBe(0);
  expect(await (await begun).rows("select 1")).toEqual(["1"]);
});
