/**
 * Autovacuum in the middle of what it does, which would take it a quarter of an hour.
 *
 * Owns: the table that takes so long, and telling that it has begun. Does not own: the server, which is to look every second.
 */
import type pg from "pg";
import { waitUntil } from "../../support/wait-until.ts";

/** Settings of a server that looks every second. */
export const looksOften = ["autovacuum_naptime=1s"];

/** ANALYZE calls the expression of an index for each row of its sample; it is quick for those who say so. */
export const slowTable = `create function slowly(int) returns int language plpgsql immutable as
    'begin perform pg_sleep(coalesce(current_setting(''test.seconds'', true), ''5'')::float); return $1; end';
  set test.seconds = 0; create table slow (id int); create index on slow (slowly(id))`;

const work = "select from pg_stat_activity where application_name = 'autovacuum' and wait_event = 'PgSleep'";

/** Has it begin, and resolves when it has. */
export async function autovacuumAtWork(client: pg.Client | pg.PoolClient): Promise<void> {
  await client.query(
    "set test.seconds = 0; insert into slow select generate_series(1, 500); select pg_stat_force_next_flush()",
  );
  await waitUntil("autovacuum is at work", () => isAtWork(client));
}

export async function isAtWork(client: pg.Client | pg.PoolClient): Promise<boolean> {
  return (await client.query(work)).rows.length > 0;
}
