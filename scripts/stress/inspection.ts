/**
 * What has to hold in the database while no client does anything.
 *
 * Owns: the questions to the database, and what is wrong with the answers. Does not own: when they are asked.
 * Invariant: a check that could not be made is a failure.
 */

import type { Rows } from "./session.ts";
import { totalBalance } from "./statements.ts";
import type { Run } from "./worker.ts";

/** Runs SQL and gives the last result's rows, columns joined by `|`. */
type Ask = (sql: string) => Promise<readonly string[]>;

/** What amcheck looked at. */
interface Looked {
  readonly indexes: number;
  readonly tables: number;
  readonly wrong: string[];
}

const btrees = `select c.oid || ' ' || c.relname from pg_class c join pg_am a on a.oid = c.relam join pg_index i on i.indexrelid = c.oid
  where a.amname = 'btree' and c.relkind = 'i' and c.relpersistence <> 't' and i.indisvalid order by c.oid`;
const heaps = `select oid || ' ' || relname from pg_class where relkind in ('r', 't', 'm') and relpersistence <> 't' order by oid`;

/** amcheck on every index and every table; the extension has to be there. */
export async function checkStorage(ask: Ask): Promise<Looked> {
  const wrong: string[] = [];
  const indexes = await ask(btrees);
  for (const line of indexes) {
    const [oid, name] = line.split(" ");
    await ask(`select bt_index_check(${oid}, true)`).catch((error) => {
      wrong.push(`bt_index_check(${name}): ${String(error)}`);
    });
  }
  const tables = await ask(heaps);
  for (const line of tables) {
    const [oid, name] = line.split(" ");
    const rows = await ask(`select blkno, offnum, msg from verify_heapam(${oid})`).catch((error) => [String(error)]);
    for (const row of rows) wrong.push(`verify_heapam(${name}): ${row}`);
  }
  return { indexes: indexes.length, tables: tables.length, wrong };
}

/** The rules of the tables that hold in every snapshot. */
export async function checkTotals(ask: Ask): Promise<string[]> {
  const wrong: string[] = [];
  const expect = async (what: string, sql: string, wanted: string) => {
    const rows = await ask(sql);
    if (rows.join(",") !== wanted) wrong.push(`${what}: ${rows.join(",")} instead of ${wanted}`);
  };
  await expect("the sum", "select sum(balance) from accounts", String(totalBalance));
  for (const [table, column] of [
    ["accounts", "balance"],
    ["claims", "owner"],
    ["log", "client"],
  ]) {
    const count = `select count(*) from ${table} where ${column} > -1000000000`;
    await ask("set enable_indexscan = off; set enable_indexonlyscan = off; set enable_bitmapscan = off");
    const inTable = (await ask(count)).join();
    await ask("reset all; set enable_seqscan = off");
    await expect(`rows of ${table} by an index`, count, inTable);
    await ask("reset all");
  }
  return wrong;
}

/** Large objects are there exactly if their row is, and are what their row says. */
export async function checkBlobs(ask: Ask): Promise<string[]> {
  const wrong = await ask("select 'large object of ' || id from blobs where md5(lo_get(object)) <> digest");
  const strays = await ask(`select 'large object ' || oid || ' of nobody' from pg_largeobject_metadata
    where oid not in (select object from blobs)`);
  return [...wrong, ...strays];
}

/** The log has the rows of the transactions that were committed. */
export async function checkLog(ask: Ask, { log }: Run): Promise<string[]> {
  const rows = await ask("select client, number from log");
  return log
    .check(
      rows.map((row) => {
        const [writer, n] = row.split("|").map(Number);
        return { writer: writer!, n: n! };
      }),
    )
    .map((text) => `log: ${text}`);
}

/** Nothing is left of connections that are gone. `pids` are those that are there. */
export async function checkLeftovers(ask: Ask, pids: readonly number[]): Promise<string[]> {
  const there = pids.join(", ");
  return [
    ...(await ask(`select 'pg_stat_activity has pid ' || pid || ': ' || state || ', ' || query from pg_stat_activity
      where backend_type = 'client backend' and pid not in (${there})`)),
    ...(await ask(`select 'idle client ' || pid || ' is ' || state || ': ' || query from pg_stat_activity
      where backend_type = 'client backend' and pid <> pg_backend_pid() and state <> 'idle'`)),
    ...(await ask(`select 'pg_locks has a lock of pid ' || coalesce(pid::text, '?') || ': ' || locktype || ' ' || mode
      from pg_locks where pid is distinct from pg_backend_pid()`)),
    ...(await ask(
      "select 'the notification queue is in use: ' || u from pg_notification_queue_usage() u where u > 0.01",
    )),
  ];
}

/** A picture for a report of a server that does not go on. */
export async function describeActivity(ask: (sql: string) => Promise<Rows>): Promise<string> {
  const activity =
    await ask(`select pid, state, wait_event_type, wait_event, age(clock_timestamp(), query_start)::text, pg_blocking_pids(pid)::text,
    left(regexp_replace(query, '[[:space:]]+', ' ', 'g'), 120) from pg_stat_activity where backend_type = 'client backend' order by pid`);
  const locks = await ask(
    "select pid, locktype, relation::regclass::text, mode, granted from pg_locks order by granted, pid limit 80",
  );
  return ["pg_stat_activity:", ...activity.rows, "pg_locks:", ...locks.rows].join("\n  ");
}
