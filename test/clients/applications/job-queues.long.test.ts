/**
 * Job queues: 2000 jobs by several processes, each exactly once.
 *
 * graphile-worker needs SKIP LOCKED, LISTEN beside all other connections, and row locks that other sessions respect.
 * pg-boss needs SKIP LOCKED, advisory locks (for its schema and its queues), ON CONFLICT beside open transactions, and
 * partitions made while others work.
 *
 * @module-tag long
 */
import pg from "pg";
import PgBoss from "pg-boss";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { waitUntil } from "../../support/wait-until.ts";
import { atOnce } from "../support/at-once.ts";
import { type ServerProcess, startOurs } from "../support/server-process.ts";
import { besideProcesses, openGate } from "../support/worker-processes.ts";

let server: ServerProcess;

beforeAll(async () => {
  server = await startOurs(["--sessions", "isolated"]);
});
afterEach(() => server.expectHealthy());
afterAll(() => server?.stop());

const workers = ["first", "second", "third", "fourth"];

/** Adds jobs 0 … 1999 from five connections, partly in transactions, of which those above 2000 are rolled back. */
async function addJobs(pool: pg.Pool): Promise<void> {
  const add = (client: pg.PoolClient, first: number, count: number) =>
    client.query(
      `select graphile_worker.add_jobs(array_agg(json_populate_record(null::graphile_worker.job_spec, json_build_object(
         'identifier', 'note', 'payload', json_build_object('n', n)))))
       from generate_series($1::int, $1::int + $2::int - 1) n`,
      [first, count],
    );
  await atOnce(5, async (me) => {
    const client = await pool.connect();
    try {
      for (let first = me * 400; first < (me + 1) * 400; first += 50) {
        await client.query("begin");
        await add(client, 10_000 + first, 10);
        await client.query("rollback");
        await client.query("begin");
        await add(client, first, 25);
        await add(client, first + 25, 25);
        await client.query("commit");
      }
    } finally {
      client.release();
    }
  });
}

test("four processes of graphile-worker, told by NOTIFY, execute each of 2000 jobs exactly once", async () => {
  const pool = new pg.Pool({ connectionString: server.url, max: 5 });
  const count = async (text: string) => (await pool.query<{ count: number }>(text)).rows[0]!.count;
  try {
    await pool.query("drop table if exists executed; create table executed (n int not null, worker text not null)");
    const processes = workers.map((name) => ({ file: "graphile-worker.ts", name }));
    // All of them find an empty database and migrate it at the same time.
    const reports = await besideProcesses(processes, server.url, async () => {
      const listening = "select count(*)::int from pg_stat_activity where state = 'idle' and query like 'LISTEN%'";
      await waitUntil("all processes listen", async () => (await count(listening)) === workers.length, 300_000);
      await addJobs(pool);
      const done = "select count(*)::int from executed";
      await waitUntil("all jobs were executed", async () => (await count(done)) >= 2000, 300_000);
      await waitUntil(
        "no job is left",
        async () => (await count("select count(*)::int from graphile_worker.jobs")) === 0,
      );
    });
    const { rows } = await pool.query("select n from executed group by n having count(*) <> 1 or n >= 2000");
    expect(rows, "jobs that were executed twice, or were rolled back").toEqual([]);
    expect(await count("select count(*)::int from executed")).toBe(2000);
    expect(reports).toEqual(
      workers.map(() => ({ executed: expect.any(Number), notifications: expect.any(Number), failures: [] })),
    );
    for (const { executed, notifications } of reports as { executed: number; notifications: number }[]) {
      expect(executed).toBeGreaterThan(0);
      expect(notifications).toBeGreaterThan(0);
    }
  } finally {
    await pool.end();
  }
});

// By number: those below 200 are sent by all instances, 500 to 1999 by one, and 200 to 499 here.
const instances = ["1", "2", "3"];

/** Sends jobs together with the rows that they belong to; every second transaction is rolled back. */
async function sendWithRows(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const boss = new PgBoss({
    db: { executeSql: (text, values) => client.query(text, values) },
    supervise: false,
    schedule: false,
  });
  try {
    await boss.start();
    for (let first = 200; first < 500; first += 25) {
      for (const [offset, end] of [
        [10_000, "rollback"],
        [0, "commit"],
      ] as const) {
        await client.query("begin");
        for (let n = first + offset; n < first + offset + 25; n++) {
          await client.query("insert into orders values ($1)", [n]);
          await boss.send("notes", { n });
        }
        await client.query(end);
      }
    }
    await boss.stop();
  } finally {
    await client.end();
  }
}

test("three instances of pg-boss execute each of 2000 jobs exactly once", async () => {
  const keeper = new pg.Client({ connectionString: server.url });
  const count = async (text: string) => (await keeper.query<{ count: number }>(text)).rows[0]!.count;
  try {
    await keeper.connect();
    await keeper.query("drop table if exists executed; create table executed (n int not null, instance text not null)");
    await keeper.query("create table orders (n int primary key)");
    await keeper.query("select pg_advisory_lock(1)");
    // All of them find an empty database, and make pg-boss's schema and the queue at the same time.
    const processes = instances.map((name) => ({ file: "pg-boss.ts", name }));
    const reports = await besideProcesses<{ executed: number; sent: number }>(processes, server.url, async () => {
      await openGate(keeper, instances.length);
      await sendWithRows(server.url);
      const completed = "select count(*)::int from pgboss.job where name = 'notes' and state = 'completed'";
      await waitUntil("all jobs are completed", async () => (await count(completed)) >= 2000, 300_000);
    });
    const { rows } = await keeper.query("select n from executed group by n having count(*) <> 1 or n >= 2000");
    expect(rows, "jobs that were executed twice, or were rolled back").toEqual([]);
    expect(await count("select count(*)::int from executed")).toBe(2000);
    expect(await count("select count(*)::int from pgboss.job where name = 'notes'")).toBe(2000);
    expect(await count("select count(*)::int from orders")).toBe(300);
    expect(reports).toEqual(
      instances.map(() => ({ executed: expect.any(Number), sent: expect.any(Number), failures: [] })),
    );
    expect(reports.reduce((sum, { sent }) => sum + sent, 0)).toBe(200);
    for (const { executed } of reports) expect(executed).toBeGreaterThan(0);
  } finally {
    await keeper.end();
  }
});
