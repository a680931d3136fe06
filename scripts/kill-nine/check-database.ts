/**
 * Whether a database that was opened after a kill holds what it must.
 *
 * Owns: the questions to the database. Does not own: what the clients know (`ledger.ts`).
 */
import postgres from "postgres";
import type { FoundRow, Ledger } from "./ledger.ts";

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
    for (const index of ["rows_pkey", "rows_filler", "accounts_pkey"]) {
      await sql`select bt_index_check(${index}::regclass, true)`.catch((error) => {
        wrong.push(`bt_index_check(${index}): ${String(error)}`);
      });
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
