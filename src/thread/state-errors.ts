/**
 * What is said where there is no state to go back to, in memory and in a directory.
 *
 * Owns: the words. Does not own: when they are said (`server-states.ts`, `directory-states.ts`).
 */

import { SqlStateError } from "../errors.ts";

/** Why there is nothing to reset to where nobody has asked for it. */
export const notKept =
  'the server was not told to keep its state when it became ready; start it with --resets on (in the library: resets: "on"), or take a snapshot';

/** `why`: there is nothing to reset to. */
export function nothingToResetTo(why: string): Error {
  return new Error(`nothing to reset to: ${why}`);
}

/** There is none of that name. */
export function noSnapshot(name: string, there: readonly string[]): Error {
  const names = there.map((kept) => JSON.stringify(kept)).join(", ") || "none";
  // undefined_object.
  return new SqlStateError("42704", `there is no snapshot ${JSON.stringify(name)}; there are: ${names}`);
}
