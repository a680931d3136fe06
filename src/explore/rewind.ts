/**
 * The data as they were, before each schedule.
 *
 * Owns: how: the caller's `reset`, or the server's own rewind. Does not own: the rewind (`thread/server-states.ts`), what is left in
 * sessions (`session-state.ts`).
 * Invariant: with the rewind every schedule begins with the same bytes: rows at their places, sequences, numbers of transactions.
 */
import { UsageError } from "../errors.ts";
import type { ExploreOptions } from "./report.ts";
import type { Sql } from "./sql.ts";

/** Makes the data as they were; called before each schedule, also before the first. */
export type Rewind = () => Promise<unknown>;

/** One name: a later exploration takes the place of an earlier one. */
const snapshotName = "before explore()";

/** The caller's, or one that keeps what there is at its first call and goes back to that. */
export function rewindOf({ db, reset }: Pick<ExploreOptions, "db" | "reset">, sql: Sql): Rewind {
  if (reset) return () => reset(sql);
  const { snapshot, restore } = db;
  if (!snapshot || !restore)
    throw new UsageError(
      "explore needs a reset for a server that is known by its URL: what makes its data as they were",
    );
  let isKept = false;
  return async () => {
    if (isKept) return restore.call(db, snapshotName);
    await snapshot.call(db, snapshotName).catch((error: unknown) => {
      if (!(error instanceof UsageError)) throw error;
      throw new UsageError(`explore needs a reset here: ${error.message}`, { cause: error });
    });
    isKept = true;
  };
}
