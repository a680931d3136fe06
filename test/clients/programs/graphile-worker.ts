/**
 * A process of an application whose background jobs run with graphile-worker: `URL NAME`.
 *
 * Owns: a runner with a pool of connections and two workers, which notes every execution in the table `executed`. It
 * ends orderly when its standard input does, and prints one line of JSON with what it saw. It looks for jobs by itself
 * only once a minute: what it runs before that, a NOTIFY told it of.
 */
import { EventEmitter } from "node:events";
import { Logger, run, type WorkerEvents } from "graphile-worker";

const [url, name] = process.argv.slice(2) as [string, string];
const seen = { executed: 0, notifications: 0, failures: [] as string[] };
const events: WorkerEvents = new EventEmitter();
events.on("pool:listen:notification", () => seen.notifications++);
for (const event of ["job:error", "worker:getJob:error", "worker:fatalError", "pool:listen:error"] as const) {
  events.on(event, ({ error }) => seen.failures.push(`${event}: ${error}`));
}

const runner = await run({
  connectionString: url,
  events,
  concurrency: 2,
  maxPoolSize: 3,
  pollInterval: 60_000,
  noHandleSignals: true,
  logger: new Logger(() => () => {}),
  taskList: {
    note: async (payload, { query }) => {
      await query("insert into executed (n, worker) values ($1, $2)", [(payload as { n: number }).n, name]);
      seen.executed++;
    },
  },
});
process.stdin.on("end", () => void runner.stop()).resume();
await runner.promise;
process.stdout.write(`${JSON.stringify(seen)}\n`);
