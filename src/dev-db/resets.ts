/**
 * `db.reset()`, `db.snapshot()`, `db.restore()` and `db.dropSnapshot()`, as a caller of the library gets them.
 *
 * Owns: where they are not there, and what is said then. Does not own: what they do (`engine/states.ts`).
 */
import type { States } from "../engine/states.ts";
import { UsageError } from "../errors.ts";
import type { DevDb } from "./handle.ts";
import type { OpenedDevDb } from "./open.ts";

/**
 * Those of a database. What it is now is what `reset` goes back to; that is kept while the caller goes on, and clients that come meanwhile wait
 * for it.
 */
export function resetsOf(
  { states, withoutStates, address: { database } }: Pick<OpenedDevDb, "states" | "withoutStates" | "address">,
  keepsStates: boolean,
): Pick<DevDb, "reset" | "snapshot" | "restore" | "dropSnapshot"> {
  const begun = keepsStates ? states?.begin(database) : undefined;
  // Whoever asks for a reset sees why there is none.
  begun?.catch(() => {});
  const use = async (what: string, work: (there: States) => Promise<void>): Promise<void> => {
    if (!states) throw new UsageError(`db.${what}() ${withoutStates}`);
    await begun;
    await work(states);
  };
  return {
    reset: () => use("reset", (there) => there.reset(database)),
    snapshot: (name) => use("snapshot", (there) => there.snapshot(database, name)),
    restore: (name) => use("restore", (there) => there.restore(database, name)),
    dropSnapshot: (name) => use("dropSnapshot", (there) => there.drop(database, name)),
  };
}
