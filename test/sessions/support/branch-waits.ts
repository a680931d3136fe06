/**
 * A branch that waits for somebody's transaction.
 *
 * Owns: telling that it does, and giving it the turns in which it would not wait any more. Does not own: the branch and the transaction.
 */
import { waitUntil } from "../../support/wait-until.ts";

/** The session that makes branches has asked for all that it has to know, and has not begun the copy. */
const waitsSql = "select from pg_stat_activity where pid = 997 and query ~ 'pg_get_userbyid'";

/**
 * Resolves when a branch waits, and others have had their turns meanwhile: at each of the engine's turns the server may look again
 * whether the transaction is over. `ask` runs a statement and resolves with the number of its rows.
 */
export async function branchWaits(ask: (sql: string) => Promise<number>): Promise<void> {
  await waitUntil("a branch waits", async () => {
    // A transaction sees the activity of others as it first was.
    await ask("select pg_stat_clear_snapshot()");
    return (await ask(waitsSql)) === 1;
  });
  for (let turn = 0; turn < 100; turn++) await ask("select 1");
}
