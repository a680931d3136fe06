/**
 * graphile-worker: 2000 jobs by four processes. It needs SKIP LOCKED, LISTEN, row locks that other sessions respect, and
 * a connection that idles in LISTEN beside all the others.
 */
import pg from "pg";
import { expect, test } from "vitest";
import { waitUntil } from "../../support/wait-until.ts";
import { atOnce } from "../support/at-once.ts";
import { startOurs } from "../support/server-process.ts";
import { besideProcesses } from "../support/worker-processes.ts";

const names = ["first", "second", "third", "fourth"];

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
  const server = await startOurs(["--sessions", "isolated"]);
  const pool = new pg.Pool({ connectionString: server.url, max: 5 });
  const count = async (text: string) => (await pool.query<{ count: number }>(text)).rows[0]!.count;
  try {
    await pool.query("create table executed (n int not null, worker text not null)");
    const processes = names.map((name) => ({ file: "graphile-worker.ts", name }));
    // All of them find an empty database and migrate it at the same time.
    const reports = await besideProcesses(processes, server.url, async () => {
      const listening = "select count(*)::int from pg_stat_activity where state = 'idle' and query like 'LISTEN%'";
      await waitUntil("all processes listen", async () => (await count(listening)) === names.length, 60_000);
      await addJobs(pool);
      const done = "select count(*)::int from executed";
      await waitUntil("all jobs were executed", async () => (await count(done)) >= 2000, 60_000);
      await waitUntil(
        "no job is left",
        async () => (await count("select count(*)::int from graphile_worker.jobs")) === 0,
      );
    });
    const { rows } = await pool.query("select n from executed group by n having count(*) <> 1 or n >= 2000");
    expect(rows, "jobs that were executed twice, or were rolled back").toEqual([]);
    expect(await count("select count(*)::int from executed")).toBe(2000);
    expect(reports).toEqual(
      names.map(() => ({ executed: expect.any(Number), notifications: expect.any(Number), failures: [] })),
    );
    for (const { executed, notifications } of reports as { executed: number; notifications: number }[]) {
      expect(executed).toBeGreaterThan(0);
      expect(notifications).toBeGreaterThan(0);
    }
  } finally {
    await pool.end();
    await server.stop();
  }
});
