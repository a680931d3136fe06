/**
 * How long `db.branch()` and `drop()` take in memory: `npm run build && node scripts/branches.ts [ROUNDS] [PAUSE_MS]`.
 *
 * Owns: the database, what is measured. Does not own: branches. Needs Node 24 or later.
 * Prints medians and 99th percentiles of a branch that is made at once behind the last one was dropped, and after a pause, in which one is prepared; the CPU time of
 * the whole process, prepared ones included; and what the process grows by.
 */
import pg from "pg";
import { startDevDb } from "../src/index.ts";
import { sixtyTables, tables } from "./sixty-tables.ts";

const rounds = Number(process.argv[2] ?? 100);
const pauseMs = Number(process.argv[3] ?? 60);

const db = await startDevDb({ port: 0, migrations: "none" });
const sql = new pg.Client(db.url);
await sql.connect();
await sql.query(sixtyTables);
await sql.query("vacuum analyze");
const [{ size }] = (await sql.query("select pg_database_size(current_database())::bigint as size")).rows;
console.log(`${tables} tables, ${(Number(size) / 2 ** 20).toFixed(0)} MB, ${rounds} rounds`);
await measure("at once", 0, async () => {});
await measure(`after a pause of ${pauseMs} ms`, pauseMs, async () => {});
await measure(`the same, and the database has been changed before it`, pauseMs, async (round) => {
  await sql.query(`update t${round % tables} set v = 'z' where id = ${1 + (round % 200)}`);
});
await sql.end();
await db.close();

async function measure(name: string, pause: number, before: (round: number) => Promise<void>): Promise<void> {
  const made: number[] = [];
  const dropped: number[] = [];
  const warm = await db.branch();
  await warm.drop();
  const [cpu, memory] = [process.cpuUsage(), process.memoryUsage().rss];
  for (let round = 0; round < rounds; round++) {
    await before(round);
    await new Promise((resolve) => setTimeout(resolve, pause));
    let began = performance.now();
    const branch = await db.branch();
    made.push(performance.now() - began);
    await new Promise((resolve) => setTimeout(resolve, pause));
    began = performance.now();
    await branch.drop();
    dropped.push(performance.now() - began);
  }
  const { user, system } = process.cpuUsage(cpu);
  const grown = (process.memoryUsage().rss - memory) / 2 ** 20;
  const at = (values: number[], part: number) =>
    values.toSorted((one, other) => one - other)[Math.floor(values.length * part)]!.toFixed(1);
  const shown = (values: number[]) =>
    `p50 ${at(values, 0.5)} ms, p99 ${at(values, 0.99)} ms, least ${at(values, 0)} ms`;
  const each = ((user + system) / 1000 / rounds).toFixed(1);
  console.log(
    `${name}: branch ${shown(made)}; drop ${shown(dropped)}; CPU of both ${each} ms; ${grown.toFixed(0)} MB in all`,
  );
}
