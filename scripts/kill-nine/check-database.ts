/**
 * Whether a database that was opened after a kill holds what it must.
 *
 * Owns: the questions to the database. Does not own: what the clients know (`ledger.ts`).
 */
import postgres from "postgres";
import type { FoundRow, Ledger } from "./ledger.ts";

const own = "relname ~ '^(k_|rows|accounts)'";
/** amcheck of all tables and indexes; an answer is damage. */
const structures = [
  `select c.relname || ': ' || v.msg as said from pg_class c, verify_heapam(c.oid) v where relkind in ('r', 'm') and ${own}`,
  ...["bt_index_check(c.oid, true)", "gin_index_check(c.oid)"].map((check) => {
    const method = check.startsWith("bt") ? "btree" : "gin";
    return `select 'unchecked: ' || relname as said from pg_class c join pg_index on indexrelid = c.oid, ${check} checked
      where indisvalid and relam = (select oid from pg_am where amname = '${method}') and ${own} and checked is null`;
  }),
];

/** Asks, and returns what is wrong, in sentences. Empties the table when it has more than `mostRows` rows. */
export async function checkDatabase(url: string, ledger: Ledger, mostRows: number): Promise<string[]> {
  const sql = postgres(url, { max: 1, onnotice: () => {}, connect_timeout: 5 });
  try {
    const found = await sql<FoundRow[]>`select writer, n from rows`;
    const wrong = ledger.check(found);
    const [sum] = await sql`select sum(balance)::int as balance from accounts`;
    if (sum?.balance !== 0) wrong.push(`the accounts add up to ${sum?.balance}`);
    await sql`set enable_seqscan = off`;
    const [byIndex] = await sql`select count(*)::int as count from rows where writer >= 0`;
    if (byIndex?.count !== found.length)
      wrong.push(`${byIndex?.count} rows by the index, ${found.length} in the table`);
    for (const question of structures) {
      const damaged = await sql.unsafe(question).catch((error) => [{ said: String(error) }]);
      wrong.push(...damaged.map(({ said }) => `amcheck: ${said}`));
    }
    if (found.length > mostRows) {
      await sql`truncate rows`;
      ledger.forget();
    }
    return wrong;
  } finally {
    await sql.end({ timeout: 5 });
  }
}
