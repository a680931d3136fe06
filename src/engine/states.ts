/**
 * States to which a server can be brought back: all of one in memory, in place; of one in a directory a database.
 *
 * Owns: these types. Does not own: how (`../thread/server-states.ts`, `../thread/directory-states.ts`).
 */

/**
 * Keeping states, and going back to them. Clients that idle outside of transactions notice nothing; all others are ended with 57P01. `database`: which one
 * it is, in a directory; in memory it is all of them.
 */
export interface States {
  /** `reset` goes back to what there is now. Where that cannot be kept, as of clients that are at work, `reset` says so. */
  begin(database: string): Promise<void>;
  /** Goes back to what there was when the server was ready. */
  reset(database: string): Promise<void>;
  /** Keeps the state as it is now, in the place of an earlier one of that name. Waits for clients that are in the way, and rejects if that takes too long,
   * in memory also when the signal is given. */
  snapshot(database: string, name: string, signal?: AbortSignal): Promise<void>;
  /** Goes back to a snapshot. Rejects where there is none of that name. */
  restore(database: string, name: string): Promise<void>;
  /** Drops a snapshot. Rejects if no snapshot has that name. */
  drop(database: string, name: string): Promise<void>;
}

/** As they are on the engine's thread, where clients ask for more. */
export interface ServedStates extends States {
  /** The names of the snapshots, in the order in which they were taken. */
  names(database: string): Promise<string[]>;
}
