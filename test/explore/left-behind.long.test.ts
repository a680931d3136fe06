/**
 * What one schedule leaves for the next, what comes when nobody decides, and what does not end: undone, said, or not waited for.
 *
 * @module-tag long
 */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type pg from "pg";
import { expect, test } from "vitest";
import { useJobs } from "./jobs.ts";

const { app, run, change } = useJobs(`create role app;
  create function tenant(x text) returns void language plpgsql as $$ begin perform set_config('app.tenant', x, false); end $$;
  create procedure until_done() language plpgsql as $$ begin
    while not exists (select from jobs where id = 1 and state = 'done') loop perform pg_sleep(0.01); commit; end loop; end $$`);

/** What an actor finds, and leaves, on one connection in each of its schedules. */
async function seen(look: string, leave: string): Promise<unknown[]> {
  const client = await app.pool.connect();
  const found: unknown[] = [];
  const ann = async () => {
    found.push(Object.values((await client.query(look)).rows[0])[0]);
    await client.query(leave);
  };
  await run({ ann, bob: () => change(1) });
  client.release();
  return [...new Set(found)];
}

test("settings are undone however they were made", async () => {
  expect(await seen("select coalesce(current_setting('app.tenant', true), '')", "select tenant('a')")).toEqual([""]);
  expect(
    await seen(
      "select coalesce(current_setting('app.area', true), '')",
      "select set_config('app' || '.area', 'b', false)",
    ),
  ).toEqual([""]);
  expect(await seen("select session_user", "set session authorization app")).toEqual(["postgres"]);
  expect(await seen("show statement_timeout", "/* app */ set statement_timeout = 5000")).toEqual(["0"]);
  expect(await seen("select current_user", "/* app */ set role app")).toEqual(["postgres"]);
});

test("a client is told of a setting that was undone, as its driver relies on it", async () => {
  const client = await app.pool.connect();
  const zones: string[] = [];
  const { connection } = client as pg.PoolClient & { connection: NodeJS.EventEmitter };
  connection.on("parameterStatus", ({ parameterName, parameterValue }) => {
    if (parameterName === "TimeZone") zones.push(parameterValue);
  });
  const { TimeZone } = (await client.query("show timezone")).rows[0];
  await run({ ann: () => client.query("set timezone = 'Europe/Vienna'") });
  await client.query("select 1");
  client.release();
  expect([zones.at(-1), new Set(zones)]).toEqual([TimeZone, new Set(["Europe/Vienna", TimeZone])]);
});

test("a statement that loops until somebody else is through is not waited for for ever", async () => {
  const report = await run({ ann: () => app.query("call until_done()"), bob: () => change(1) });
  expect([report.failing, report.stopped]).toEqual([[], undefined]);
  expect([report.schedules, report.complete, report.silences > 0]).toEqual([2, false, true]);
  expect(report.outcomes).toEqual({ "ann ok, bob ok": 2 });
});

test("one that loops for ever is ended, and its clients are let go", async () => {
  const report = await run({ ann: () => app.query("call until_done()") }, { silenceMs: 30 });
  expect([report.outcomes, report.complete]).toEqual([{ "ann 57014": 1 }, false]);
  expect(report.failing[0]!.failure).toMatch(/ann does not come to an end \(call until_done/);
  expect(await app.query("select 7")).toBe(7);
});

test("what an actor does not wait for is a stray, also when the schedule is over", async () => {
  const late = async () => {
    await change(1);
    // The actor has ended long before.
    void delay(30).then(() => app.query("update jobs set state = 'late' where id = 2"));
  };
  const report = await run({ ann: late, bob: () => change(2) });
  expect([report.complete, report.strays > 0]).toEqual([false, true]);
});

test("a client whose transaction has failed is in nobody's way", async () => {
  const bystander = await app.pool.connect();
  await bystander.query("begin");
  await bystander.query("select 1/0").catch(() => {});
  const report = await run({ ann: () => change(1), bob: () => change(2) });
  await bystander.query("rollback");
  bystander.release();
  expect([report.schedules, report.complete]).toEqual([2, true]);
});

test("a trace that would be too large is said to be, and not said to be saved", async () => {
  const trace = join(mkdtempSync(join(tmpdir(), "explore-")), "large.trace");
  const large = () => app.query("select repeat('x', 17 * 1024 * 1024)");
  const { failing } = await run({ ann: large }, { trace, invariant: async () => false });
  expect(failing).toMatchObject([{ untraced: "a trace of it would have more than 16 MB" }]);
  expect(failing[0]).not.toHaveProperty("trace");
});
