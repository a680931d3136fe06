/**
 * The database whose branches and resets are measured: sixty tables of two hundred rows.
 *
 * Owns: its schema and rows. Does not own: what is measured (`branches.ts`, `resets.ts`), so that their figures are of the same.
 */

/** How many; they are t0, t1 and so on. */
export const tables = 60;

/** Makes them, with an index each. */
export const sixtyTables: string = Array.from(
  { length: tables },
  (_, table) => `create table t${table} (id serial primary key, v text, n int);
    insert into t${table} (v, n) select md5(g::text), g from generate_series(1, 200) g; create index on t${table} (n);`,
).join("\n");
