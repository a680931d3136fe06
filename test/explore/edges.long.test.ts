/**
 * `explore()` where it is not sure, or where something is left behind: said in the report, and never a wrong verdict.
 *
 * @module-tag long
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { expect, test } from "vitest";
import { GateClient } from "../../src/explore/gate-client.ts";
import type { Actor, ExploreReport, Sql } from "../../src/explore/index.ts";
import { startDevDb } from "../../src/index.ts";
import { Application } from "./actors.ts";
import { useJobs } from "./jobs.ts";

const { app, db, run, change } = useJobs("insert into jobs values (1, 'new')");

const oneIsNew = async (sql: Sql) => (await sql`select count(*) as n from jobs where state = 'new'`)[0]!.n >= 1;

test("an actor that waits for ever is a failure, and the next schedules go on", async () => {
  const waits: Actor = async ({ signal }) => {
    const client = await app.pool.connect();
    try {
      const told = once(client, "notification", { signal });
      told.catch(() => {});
      const { rowCount } = await client.query("select from jobs where state = 'done'");
      if (rowCount) return;
      await client.query("listen jobs");
      await told;
    } finally {
      client.release();
    }
  };
  const tells = async () => {
    await change(1);
    await app.query("notify jobs");
  };
  const report = await run({ ann: tells, bob: waits }, { silenceMs: 20 });
  expect(report.failing.map(({ decisions, failure }) => [decisions, failure])).toEqual([
    ["bob ann ann bob", "nobody can go on: bob waits for something outside of the database"],
  ]);
  expect(report.schedules).toBe(5);
  // Some of its silences were those of a listener: who else would have said something is not known.
  expect(report.complete).toBe(false);
  expect(report.silences).toBeGreaterThan(0);
});

test("who is the victim of a deadlock does not depend on how long somebody has waited", async () => {
  const hasty = new Application(`${db.url}?options=${encodeURIComponent("-c deadlock_timeout=5ms")}`);
  const both = (first: number) => () =>
    hasty.transaction("read committed", async (query) => {
      for (const id of [first, 3 - first]) await query("update jobs set state = 'done' where id = $1", id);
    });
  const outcomes: ExploreReport["outcomes"][] = [];
  for (const seconds of [0, 0.2]) {
    const sleeps = () => app.query("select pg_sleep($1)", seconds);
    const report = await run(
      { ann: both(1), bob: both(2), eve: sleeps },
      { replay: "ann ann bob bob ann eve bob ann bob" },
    );
    expect(report).toMatchObject({ schedules: 1, silences: 0, strays: 0, diverged: 0 });
    outcomes.push(report.outcomes);
  }
  await hasty.pool.end();
  expect(outcomes).toEqual([{ "ann 40P01, bob ok, eve ok": 1 }, { "ann 40P01, bob ok, eve ok": 1 }]);
});

test("who waits for a lock of one that does not end is said to, also where it is not sure who sent it", async () => {
  const clients = [await app.pool.connect(), await app.pool.connect()] as const;
  const hangs: Actor = async ({ signal }) => {
    await clients[0].query("begin; update jobs set state = 'mine' where id = 1");
    await once(signal, "abort");
  };
  const changes = async () => {
    for (const id of [2, 1]) await clients[1].query("update jobs set state = 'done' where id = $1", [id]);
  };
  const report = await run({ bob: hangs, ann: changes }, { silenceMs: 20, schedules: 1 });
  for (const client of clients) client.release();
  const [first] = report.failing;
  expect(first!.failure).toBe(
    "nobody can go on: bob waits for something outside of the database; ann waits for a lock of bob (update jobs set state = 'done' where id = $1)",
  );
  expect(first!.results.ann).toMatchObject({ status: "rejected", reason: { code: "57014" } });
  expect(report.strays).toBe(1);
});

test("a transaction that is left open is in the way of one schedule, not of the next", async () => {
  const client = await app.pool.connect();
  const forgets = async () => {
    await client.query("begin");
    await client.query("update jobs set state = 'mine' where id = 1");
  };
  const report = await run({ ann: forgets, bob: () => change(1) }, { silenceMs: 20 });
  client.release();
  const stuck = "nobody can go on: bob waits for a lock of ann (update jobs set state = 'done' where id = $1)";
  expect(report.failing.map(({ decisions, failure }) => [decisions, failure])).toEqual([["ann ann bob", stuck]]);
  expect(report.failing[0]!.results.bob).toMatchObject({ status: "rejected", reason: { code: "57014" } });
  expect(report.outcomes).toEqual({ "ann ok, bob ok": 2, "ann ok, bob 57014": 1 });
});

test("what a schedule leaves in a session is gone in the next one", async () => {
  const client = await app.pool.connect();
  await client.query("set app.kept = 'kept'");
  const leaves = async () => {
    const { rows } =
      await client.query(`select current_setting('app.mine', true) as mine, current_setting('app.kept') as kept,
      (select count(*)::int from pg_listening_channels()) as channels, (select count(*)::int from pg_locks where locktype = 'advisory') as locks`);
    await client.query("set app.mine = 'mine'");
    await client.query("listen somewhere");
    await client.query("select pg_advisory_lock(1)");
    return rows[0];
  };
  const seen: unknown[] = [];
  await run({ ann: leaves, bob: () => change(1) }, { invariant: async (_, { ann }) => void seen.push(ann) });
  client.release();
  expect(seen).toHaveLength(5);
  for (const each of seen) {
    // PostgreSQL knows the name from then on.
    const mine = expect.toBeOneOf([null, ""]);
    expect(each).toEqual({ status: "fulfilled", value: { mine, kept: "kept", channels: 0, locks: 0 } });
  }
});

test("an actor that does two things at once does them in every order", async () => {
  const both = () => Promise.all([change(1), change(2)]);
  const report = await run({ ann: both, bob: () => change(1) });
  expect([report.schedules, report.strays, report.silences, report.complete]).toEqual([6, 0, 0, true]);
  expect(report.diverged).toBe(0);
});

test("one that waits for a clock is waited for", async () => {
  const slow = async () => {
    await change(1);
    // The limit of 200 ms is a timer of the same loop: it ends later.
    await delay(30);
    await change(1);
  };
  const report = await run({ ann: slow, bob: () => change(2) });
  expect([report.schedules, report.silences, report.complete]).toEqual([3, 0, true]);
});

test("actors may be requests to an application in another process", async () => {
  const shop = spawn(process.execPath, [join(import.meta.dirname, "shop.mjs")], {
    env: { ...process.env, DATABASE_URL: db.url },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const [port] = await once(shop.stdout, "data");
  const call = async () => {
    const response = await fetch(`http://127.0.0.1:${Number(port)}`);
    expect(await response.text()).toBe("ok");
  };
  const report = await run({ ann: call, bob: call }, { invariant: oneIsNew });
  shop.stdin.end();
  // Whoever waits with its UPDATE for the other's takes the same job once more, and one is left.
  const { schedules, failing, complete } = report;
  expect([
    schedules,
    failing.length,
    complete,
    failing.some(({ steps }) => steps.some((step) => step.isBlocked)),
  ]).toEqual([50, 20, true, false]);
});

test("a client that goes while something of it waits takes that along", async () => {
  let hangUp = (): void => {};
  const ann = async () => {
    const client = new pg.Client(db.url);
    client.on("error", () => {});
    await client.connect();
    hangUp = () => void client.end();
    await client.query("update jobs set state = 'ann' where id = 1");
    await client.end();
  };
  const bob = async () => {
    await change(2);
    hangUp();
  };
  const report = await run({ ann, bob });
  expect(report.outcomes).toEqual({ "ann ok, bob ok": 1, "ann Connection terminated, bob ok": 1 });
  expect(report.complete).toBe(true);
});

test("one that takes another path each time is not judged", async () => {
  let count = 0;
  const fickle = () => app.query(`select 1 as ${"x".repeat(++count)}`);
  const report = await run({ ann: fickle, bob: () => change(2) });
  expect(report.complete).toBe(false);
  expect(report.diverged).toBeGreaterThan(0);
});

test("a schedule comes again: by its decisions, and by its seed", async () => {
  const actors = {
    ann: () => app.transaction("read committed", async (query) => query("update jobs set state = 'ann' where id = 1")),
    bob: () => app.transaction("read committed", async (query) => query("update jobs set state = 'bob' where id = 1")),
  };
  const isBobs = async (sql: Sql) => (await sql`select state from jobs where id = ${1}`)[0]!.state === "bob";
  const file = join(mkdtempSync(join(tmpdir(), "explore-")), "ann.trace");
  const options = { invariant: isBobs, strategy: { random: 10, seed: 5 } } as const;
  const [one, other] = [await run(actors, { ...options, trace: file }), await run(actors, options)];
  const decisions = one.failing.map((schedule) => schedule.decisions);
  expect(decisions.length).toBeGreaterThan(0);
  expect(other.failing.map((schedule) => schedule.decisions)).toEqual(decisions);
  expect([one.seed, one.complete, one.failing[0]!.trace]).toEqual([5, false, file]);
  const again = await run(actors, { invariant: isBobs, replay: decisions[0]! });
  expect([again.schedules, again.failing[0]!.decisions]).toEqual([1, decisions[0]]);
  expect(again.failing[0]!.table).toBe(one.failing[0]!.table);
  rmSync(file);
});

test("when nobody decides any more, everything goes on; other databases never waited", async () => {
  const gate = new GateClient(db.url);
  const other = new pg.Client({ connectionString: db.url.replace(/[^/]*$/, "template1") });
  await Promise.all([gate.ask({ do: "hold", records: false, ms: 1000 }), other.connect()]);
  let isOver = false;
  const held = app.query("select 7").finally(() => {
    isOver = true;
  });
  await other.query("select 1");
  await expect(run({ ann: () => change(1) })).rejects.toThrow(/somebody else explores the database "postgres"/);
  await gate.ask({ do: "ping" });
  expect([gate.seen, isOver]).toEqual([1, false]);
  await gate.close();
  expect(await held).toBe(7);
  await other.end();
});

test("with one session for all it says what it needs", async () => {
  await using shared = await startDevDb({ port: 0, migrations: "none", sessions: "shared" });
  const actors = { ann: async () => 1 };
  await expect(run(actors, { db: shared })).rejects.toThrow(/needs a pglite-devdb with a session for each connection/);
});
