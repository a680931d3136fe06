/**
 * States of a whole server in memory, to which it can be brought back in place.
 *
 * Owns: these types. Does not own: how (`../thread/server-states.ts`).
 */

/** Keeping states, and going back to them. Clients that idle outside of transactions notice nothing; all others are ended with 57P01. */
export interface States {
  /** `reset` goes back to what there is now. Nothing is kept, and `reset` says so, if a client is at work. */
  begin(): Promise<void>;
  /** Goes back to what there was when the server was ready. */
  reset(): Promise<void>;
  /** Keeps the state as it is now, in the place of an earlier one of that name. Waits for clients that are at work, and rejects if that takes too long. */
  snapshot(name: string): Promise<void>;
  /** Goes back to a snapshot. Rejects where there is none of that name. */
  restore(name: string): Promise<void>;
}

/** As they are on the engine's thread, where clients ask for more. */
export interface ServedStates extends States {
  /** Gives a snapshot up. Rejects where there is none of that name. */
  drop(name: string): Promise<void>;
  /** The names of the snapshots, in the order in which they were taken first. */
  names(): Promise<string[]>;
}
