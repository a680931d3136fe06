/**
 * pg-boss: 2000 jobs by three instances, each in a process of its own. It needs SKIP LOCKED, advisory locks (for its
 * schema and its queues), ON CONFLICT beside open transactions, and partitions made while others work.
 */
import pg from "pg";
import PgBoss from "pg-boss";
import { expect, test } from "vitest";
import { waitUntil } from "../../support/wait-until.ts";
import { startOurs } from "../support/server-process.ts";
import { besideProcesses, openGate } from "../support/worker-processes.ts";

// By number: those below 200 are sent by all instances, 500 to 1999 by one, and 200 to 499 here.
const names = ["1", "2", "3"];

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
  const server = await startOurs(["--sessions", "isolated"]);
  const keeper = new pg.Client({ connectionString: server.url });
  const count = async (text: string) => (await keeper.query<{ count: number }>(text)).rows[0]!.count;
  try {
    await keeper.connect();
    await keeper.query("create table executed (n int not null, instance text not null)");
    await keeper.query("create table orders (n int primary key)");
    await keeper.query("select pg_advisory_lock(1)");
    // All of them find an empty database, and make pg-boss's schema and the queue at the same time.
    const processes = names.map((name) => ({ file: "pg-boss.ts", name }));
    const reports = await besideProcesses<{ executed: number; sent: number }>(processes, server.url, async () => {
      await openGate(keeper, names.length);
      await sendWithRows(server.url);
      const completed = "select count(*)::int from pgboss.job where name = 'notes' and state = 'completed'";
      await waitUntil("all jobs are completed", async () => (await count(completed)) >= 2000, 60_000);
    });
    const { rows } = await keeper.query("select n from executed group by n having count(*) <> 1 or n >= 2000");
    expect(rows, "jobs that were executed twice, or were rolled back").toEqual([]);
    expect(await count("select count(*)::int from executed")).toBe(2000);
    expect(await count("select count(*)::int from pgboss.job where name = 'notes'")).toBe(2000);
    expect(await count("select count(*)::int from orders")).toBe(300);
    expect(reports).toEqual(
      names.map(() => ({ executed: expect.any(Number), sent: expect.any(Number), failures: [] })),
    );
    expect(reports.reduce((sum, { sent }) => sum + sent, 0)).toBe(200);
    for (const { executed } of reports) expect(executed).toBeGreaterThan(0);
  } finally {
    await keeper.end();
    await server.stop();
  }
});
