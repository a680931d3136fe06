/**
 * How long `db.reset()` takes: `npm run build && node scripts/resets.ts [ROUNDS] [DIRECTORY]`.
 *
 * Owns: the databases, the load between two resets, what is measured. Does not own: the reset. Needs Node 24 or later.
 * Prints a row for a database of 60 tables, and one for the same with 100 MB beside them: what four clients of a pool change, then the time and
 * the process's CPU time of the reset, then the first query of each of them behind it. In a directory that does not
 * exist it is the database that is brought back.
 */
import { mkdirSync } from "node:fs";
import pg from "pg";
import { startDevDb } from "../src/index.ts";
import { sixtyTables, tables } from "./sixty-tables.ts";

const rounds = Number(process.argv[2] ?? 100);
const directory = process.argv[3];
const clients = 4;

const large = `create table large as select g as id, repeat(md5(g::text), 8) as v from generate_series(1, 350000) g;
  create index on large (id);`;

for (const [at, [name, sql]] of Object.entries({
  "60 tables": sixtyTables,
  "60 tables and 100 MB": `${sixtyTables}${large}`,
}).entries()) {
  console.log(`${name}: ${await measure(sql, directory === undefined ? "memory://" : `${directory}/${at}`)}`);
}

async function measure(sql: string, place: string): Promise<string> {
  if (directory !== undefined) mkdirSync(directory, { recursive: true });
  const db = await startDevDb({ port: 0, migrations: "none", db: place });
  const pool = new pg.Pool({ connectionString: db.url, max: clients });
  await pool.query(sql);
  await pool.query("vacuum analyze");
  await pool.query("checkpoint");
  const [{ size }] = (await pool.query("select sum(pg_database_size(oid))::bigint as size from pg_database")).rows;
  await db.snapshot("full");
  const took: number[] = [];
  const cpu: number[] = [];
  const next: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await Promise.all(Array.from({ length: clients }, (_, client) => write(pool, client, round, sql.includes(large))));
    const [began, used] = [performance.now(), process.cpuUsage()];
    await db.restore("full");
    took.push(performance.now() - began);
    const { user, system } = process.cpuUsage(used);
    cpu.push((user + system) / 1000);
    const asked = performance.now();
    await Promise.all(Array.from({ length: clients }, () => pool.query("select count(*) from t1")));
    next.push(performance.now() - asked);
  }
  await pool.end();
  await db.close();
  const at = (values: number[], part: number) =>
    values.toSorted((one, other) => one - other)[Math.floor(values.length * part)]!.toFixed(1);
  const rss = (process.memoryUsage().rss / 2 ** 20).toFixed(0);
  return [
    `${(Number(size) / 2 ** 20).toFixed(0)} MB`,
    `reset p50 ${at(took, 0.5)} ms, p99 ${at(took, 0.99)} ms, least ${at(took, 0)} ms`,
    `CPU p50 ${at(cpu, 0.5)} ms`,
    `first queries of ${clients} clients behind it p50 ${at(next, 0.5)} ms`,
    `${rss} MB of memory`,
  ].join("; ");
}

/** What one of the clients changes. */
async function write(pool: pg.Pool, client: number, round: number, isLarge: boolean): Promise<void> {
  for (let table = client; table < tables; table += clients) {
    await pool.query(`insert into t${table} (v, n) values ('x', 1), ('y', 2)`);
    await pool.query(`update t${table} set v = 'z' where id = ${1 + (round % 200)}`);
  }
  if (client === 0)
    await pool.query(`create table added (x int primary key); alter table t1 add column c int; drop table t2`);
  if (isLarge && client === 1)
    await pool.query(`update large set v = 'u' where id between ${round * 500} and ${round * 500 + 499}`);
}
