/**
 * The time of a server: what PostgreSQL takes for the present.
 *
 * Owns: these types, and how long things are in milliseconds. Does not own: the clock (`../sessions/clock.ts`).
 */

/** What can be done to it. Times are milliseconds since 1970, as `Date` has them. */
export type ClockChange =
  /** From now on it is `to`, and time goes on. */
  | { readonly do: "set"; readonly to: number }
  /** So many milliseconds have passed. */
  | { readonly do: "advance"; readonly by: number }
  /** Whether time jumps to the end of the next wait when nobody has anything to do. */
  | { readonly do: "discrete"; readonly on: boolean }
  /** The real time, and no jumps. */
  | { readonly do: "reset" }
  | { readonly do: "show" };

/** What it is then. */
export interface ClockState {
  /** In ms since 1970. */
  readonly now: number;
  /** By how much it is ahead of the real time, in ms. */
  readonly ahead: number;
  readonly isDiscrete: boolean;
}

/** Changes it; rejects with why it could not be changed, and then has not changed it. */
export type ChangeClock = (change: ClockChange) => Promise<ClockState>;
