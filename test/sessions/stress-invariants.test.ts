/**
 * What the stress would see: each of its rules is broken once, on a real server, by somebody from outside.
 *
 * A rule that cannot fail proves nothing; the stress itself only runs where all of them hold.
 */
import { afterAll, beforeAll, beforeEach, expect, type TestContext, test } from "vitest";
import { Ledger } from "../../scripts/kill-nine/ledger.ts";
import { Counts } from "../../scripts/stress/counts.ts";
import { checkBlobs, checkLeftovers, checkLog, checkStorage, checkTotals } from "../../scripts/stress/inspection.ts";
import { Listener } from "../../scripts/stress/listener.ts";
import { PgSession } from "../../scripts/stress/pg-session.ts";
import { stressTables } from "../../scripts/stress/statements.ts";
import { stepTables } from "../../scripts/stress/steps.ts";
import { eventChannel, type Run, Worker } from "../../scripts/stress/worker.ts";
import { Random } from "../../src/trace/storm/random.ts";
import { type ServerProcess, startOurs } from "../clients/support/server-process.ts";
import { waitUntil } from "../support/wait-until.ts";
import { isolatedSessionsAvailable, requireIsolatedSessions } from "./support/isolated.ts";

let server: ServerProcess | undefined;
let observer: PgSession;
const ask = async (sql: string) => (await observer.query(sql)).rows;

beforeAll(async () => {
  if (!isolatedSessionsAvailable) return;
  server = await startOurs(["--sessions", "isolated", "-e", "amcheck"]);
  observer = await PgSession.open(server.port);
  await ask(`${stressTables}; ${stepTables}`);
});
afterAll(async () => {
  await observer?.close();
  await server?.stop();
});
beforeEach((context: TestContext) => requireIsolatedSessions(context));

function emptyRun(): Run {
  return { counts: new Counts(() => {}), log: new Ledger(), heard: new Ledger(), numbers: [] };
}

/** Lets one client work until a condition holds; what it found wrong. */
async function failuresOfAClient(until: (counts: Counts, worker: Worker) => boolean): Promise<string> {
  await ask("truncate log");
  const run = emptyRun();
  const worker = new Worker(0, server!.port, new Random(5), run);
  const working = worker.work();
  await waitUntil("the client comes so far", () => until(run.counts, worker));
  worker.stop();
  await working;
  return run.counts.failures.join("\n");
}

test("a balance that is off by one", async () => {
  await ask("update accounts set balance = balance + 1 where id = 3");
  expect(await checkTotals(ask)).toEqual(["the sum: 20001 instead of 20000"]);
  expect(await failuresOfAClient(({ failed }) => failed > 0)).toMatch(/20001/);
  await ask("update accounts set balance = balance - 1 where id = 3");
  expect(await checkTotals(ask)).toEqual([]);
});

test("a committed row that is missing, one that was rolled back, one of nobody", async () => {
  await ask("truncate log");
  const run = emptyRun();
  const sent = [1, 2, 3].map((n) => run.log.send(7, n, 1));
  sent[0]!.answered = true;
  sent[1]!.answered = true;
  run.log.withdraw(sent[2]!);
  await ask("insert into log (client, number) values (7, 1), (7, 3)");
  expect(await checkLog(ask, run)).toEqual([
    "log: writer 7, rows 2 to 2: answered, and 1 of 1 are missing",
    "log: 1 rows that nobody sent, such as 7/3",
  ]);
  await ask("truncate log");
});

test("a notification that is missing, doubled, late or of nobody", async () => {
  const listener = await Listener.open(server!.port);
  const sent = new Ledger();
  for (const n of [1, 2, 3]) sent.send(7, n, 1).answered = true;
  await ask(`notify ${eventChannel}, '7/3'`);
  await ask(`notify ${eventChannel}, '7/2'`);
  await ask(`notify ${eventChannel}, '7/2'`);
  await ask(`notify ${eventChannel}, '8/1'`);
  expect(await listener.compare(sent)).toEqual([
    "notification 7/2 after 7/3",
    "notification 7/2 after 7/2",
    "notifications: writer 7, rows 1 to 1: answered, and 1 of 1 are missing",
    "notifications: 1 rows that nobody sent, such as 8/1",
  ]);
  await listener.close();
});

test("a session and a lock of a client that is gone", async () => {
  const left = await PgSession.open(server!.port);
  await left.query("select pg_advisory_lock(1)");
  const found = (await checkLeftovers(ask, [observer.pid])).join("\n");
  expect(found).toMatch(`pg_stat_activity has pid ${left.pid}`);
  expect(found).toMatch(`pg_locks has a lock of pid ${left.pid}: advisory ExclusiveLock`);
  await left.close();
  await waitUntil("nothing is left", async () => (await checkLeftovers(ask, [observer.pid])).length === 0);
});

test("a large object without its row, and one that is not what its row says", async () => {
  const [stray] = await ask("select lo_from_bytea(0, 'stray')");
  await ask("insert into blobs select 'wrong', lo_from_bytea(0, 'content'), md5('other')");
  expect(await checkBlobs(ask)).toEqual(["large object of wrong", `large object ${stray} of nobody`]);
  await ask("select lo_unlink(oid) from pg_largeobject_metadata; truncate blobs");
});

test("an index that does not fit its table", async () => {
  await ask(`create function key_of(int) returns int immutable language sql as 'select $1';
    create table indexed as select g as x from generate_series(1, 100) g; create index indexed_key on indexed (key_of(x));
    create or replace function key_of(int) returns int immutable language sql as 'select -$1'`);
  const { wrong, indexes, tables } = await checkStorage(ask);
  expect(wrong.join()).toMatch(/^bt_index_check\(indexed_key\): error: heap tuple .* lacks matching index tuple/);
  expect(indexes).toBeGreaterThan(100);
  expect(tables).toBeGreaterThan(50);
  await ask("drop table indexed");
});

test("a setting that a new session finds", async () => {
  await ask("alter role postgres set work_mem = '5MB'");
  expect(await failuresOfAClient(({ failed }) => failed > 0)).toMatch(/a new session has postgres\|postgres\|5MB/);
  await ask("alter role postgres reset work_mem");
});

test("an error that nobody provoked", async () => {
  await ask("alter table claims rename to hidden");
  expect(await failuresOfAClient(({ failed }) => failed > 0)).toMatch(/42P01 relation "claims" does not exist in: /);
  await ask("alter table hidden rename to claims");
});

test("a connection that is lost without anybody having ended it", async () => {
  const failures = await failuresOfAClient(({ failed, commits }, { session }) => {
    if (commits > 0) session?.hangUp();
    return failed > 0;
  });
  expect(failures).toMatch(/Connection terminated unexpectedly|CONNECTION_CLOSED|not queryable/);
});

test("none of that is found where nothing is wrong", async () => {
  expect(await failuresOfAClient(({ commits }) => commits >= 20)).toBe("");
});
