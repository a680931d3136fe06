/**
 * Queues of jobs in the database, which take `now()` for the time: a week of a schedule, as many jobs as a week has.
 *
 * @module-tag long
 */
import { Logger, run } from "graphile-worker";
import pg from "pg";
import PgBoss from "pg-boss";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type DevDb, startDevDb } from "../../src/index.ts";
import { waitUntil } from "../support/wait-until.ts";

const hours = 24 * 7;
const hourMs = 3_600_000;
const begin = Date.UTC(2030, 2, 25);

let db: DevDb;
let sql: pg.Client;
beforeEach(async () => {
  db = await startDevDb({ port: 0, migrations: "none", log: () => {} });
  await db.clock.set(begin);
  sql = new pg.Client(db.url);
  await sql.connect();
  await sql.query("create table executed (due timestamptz, at timestamptz default clock_timestamp())");
});
const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const stop of stops.splice(0)) await stop();
  await sql.end();
  await db.close();
});

/** Notes that what was due has run, and says when it is due again; undefined when the week is over. */
async function ran(
  query: (text: string, values: unknown[]) => Promise<unknown>,
  due: number,
): Promise<number | undefined> {
  await query("insert into executed (due) values ($1)", [new Date(due)]);
  const next = due + hourMs;
  return next <= begin + hours * hourMs ? next : undefined;
}

async function expectWeek(): Promise<void> {
  const { rows } = await sql.query(
    `select count(*)::int as count, count(distinct due)::int as different,
       bool_and(at >= due and at < due + interval '1 hour') as is_in_time from executed`,
  );
  expect(rows).toEqual([{ count: hours, different: hours, is_in_time: true }]);
}

test("graphile-worker, whose job of each hour adds that of the next", async () => {
  const runner = await run({
    connectionString: db.url,
    pollInterval: 5,
    concurrency: 2,
    noHandleSignals: true,
    logger: new Logger(() => () => {}),
    taskList: {
      hourly: async (payload, { query, addJob }) => {
        const next = await ran(query, (payload as { due: number }).due);
        if (next) await addJob("hourly", { due: next }, { runAt: new Date(next) });
      },
    },
  });
  stops.push(() => runner.stop());
  await runner.addJob("hourly", { due: begin + hourMs }, { runAt: new Date(begin + hourMs) });
  await db.clock.discrete(true);
  for (let hour = 1; hour <= hours + 3; hour++) {
    await sql.query("select pg_sleep(3600)");
    const waiting = async () =>
      (
        await sql.query(
          "select count(*)::int as count from graphile_worker.jobs where run_at <= now() or locked_at is not null",
        )
      ).rows[0].count;
    await waitUntil("no job waits", async () => (await waiting()) === 0);
  }
  await expectWeek();
});

test("pg-boss, whose job of each hour sends that of the next", async () => {
  const boss = new PgBoss({ connectionString: db.url, supervise: false, schedule: false });
  boss.on("error", () => {});
  stops.push(() => boss.stop({ graceful: false, wait: true }));
  await boss.start();
  await boss.createQueue("hourly");
  const send = (due: number) => boss.send("hourly", { due }, { startAfter: new Date(due) });
  await send(begin + hourMs);
  await db.clock.discrete(true);
  for (let hour = 1; hour <= hours + 3; hour++) {
    await sql.query("select pg_sleep(3600)");
    for (const { id, data } of await boss.fetch<{ due: number }>("hourly")) {
      const next = await ran((text, values) => sql.query(text, values), data.due);
      if (next) await send(next);
      await boss.complete("hourly", id);
    }
  }
  await expectWeek();
});

test("a daily schedule of pg-boss, which takes its process's clock for the time, too", async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: begin });
  const boss = new PgBoss({
    connectionString: db.url,
    clockMonitorIntervalSeconds: 1,
    cronMonitorIntervalSeconds: 1,
    cronWorkerIntervalSeconds: 1,
  });
  boss.on("error", () => {});
  stops.push(() => boss.stop({ graceful: false, wait: true }));
  await boss.start();
  await boss.createQueue("daily");
  await boss.schedule("daily", "0 3 * * *");
  const seen: string[] = [];
  await boss.work("daily", { pollingIntervalSeconds: 0.5 }, async () => {
    seen.push(new Date().toISOString().slice(0, 10));
  });
  const looked = async () => (await sql.query("select cron_on::text from pgboss.version")).rows[0].cron_on;
  const count = async (condition: string) =>
    (await sql.query(`select count(*)::int as n from pgboss.job where ${condition}`)).rows[0].n;
  for (let day = 0; day < 7; day++) {
    const at = begin + day * 24 * hourMs + 3 * hourMs + 1000;
    vi.setSystemTime(at);
    await db.clock.set(at);
    await expect.poll(() => seen.length, { interval: 50 }).toBe(day + 1);
    // Pg-boss looks at its schedules once more, and that look has ended when the next one begins: it must have sent nothing.
    for (let look = 0, before = await looked(); look < 2; look++, before = await looked())
      await waitUntil("pg-boss looks at its schedules", async () => (await looked()) !== before);
    await waitUntil("what it has sent has run", async () => (await count("state < 'completed'")) === 0);
    expect(await count("name = 'daily'")).toBe(day + 1);
    vi.setSystemTime(at + 12 * hourMs);
    await db.clock.set(at + 12 * hourMs);
  }
  expect(seen).toEqual(Array.from({ length: 7 }, (_, day) => `2030-03-${25 + day}`));
});
