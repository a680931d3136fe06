/**
 * A process of an application whose background jobs run with pg-boss: `URL NAME`.
 *
 * Owns: one instance with its pool of connections, four workers, and its share of the jobs. It notes every execution in
 * the table `executed`, stops when its standard input ends, and prints one line of JSON with what it saw.
 */
import PgBoss from "pg-boss";

const [url, name] = process.argv.slice(2) as [string, string];
const seen = { executed: 0, sent: 0, failures: [] as string[] };
const boss = new PgBoss({ connectionString: url, max: 6 });
boss.on("error", (error) => seen.failures.push(error.message));
process.on("unhandledRejection", (reason) => seen.failures.push(`unhandled: ${reason}`));

await boss.start();
await createQueue();
const db = boss.getDb();
// All instances start at the same time, however long each took to get here.
await db.executeSql("select pg_advisory_lock_shared(1), pg_advisory_unlock_shared(1)", []);

// The same 200 jobs in each instance: the first to send one is the only one to.
const sending = Array.from({ length: 200 }, async (_, n) => {
  const id = `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;
  if ((await boss.send("notes", { n }, { id })) === id) seen.sent++;
});
// And 500 of its own.
const first = 500 * Number(name);
const own = Array.from({ length: 500 }, (_, at) => ({ name: "notes", data: { n: first + at } }));
await Promise.all([...sending, boss.insert(own)]);

for (let worker = 0; worker < 4; worker++) {
  const id = await boss.work<{ n: number }>("notes", { batchSize: 10, pollingIntervalSeconds: 0.5 }, async (jobs) => {
    const numbers = jobs.map(({ data }) => data.n);
    await db.executeSql("insert into executed select unnest($1::int[]), $2", [numbers, name]);
    seen.executed += numbers.length;
    // Where there was a job there may be another.
    boss.notifyWorker(id);
  });
}
await new Promise((resolve) => process.stdin.once("end", resolve).resume());
await boss.stop();
process.stdout.write(`${JSON.stringify(seen)}\n`);

/**
 * pg-boss adds a row and then a foreign key to its table, whose lock waits for whoever is about to add the same row, who waits for that
 * row: of two that do it at once PostgreSQL ends one as well (40P01).
 */
async function createQueue(): Promise<void> {
  for (;;) {
    try {
      return await boss.createQueue("notes");
    } catch (error) {
      if ((error as { code?: string }).code !== "40P01") throw error;
    }
  }
}
