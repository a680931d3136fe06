/**
 * Putting the shared session in order when a client has gone.
 *
 * Owns: what is sent for that. Does not own: when (`shared-queue.ts`).
 * Invariant: nothing of what another client has set is discarded.
 */
import { encodeFrame, int16, Type } from "../../wire/frames.ts";
import type { SharedSession } from "../../work/statements.ts";
import type { Member } from "./members.ts";

const SYNC = encodeFrame(Type.Sync);
// In front of a synthesised Sync: PostgreSQL aborts a pipeline whose client is gone, and a Sync alone would commit it.
const FAILING_BIND = encodeFrame(Type.Bind, "", "pglite_socket__none", int16(0), int16(0), int16(0));
// Engine: PGlite starts as postgres without a default for it, so that DEFAULT and DISCARD ALL leave the authorization.
const DISCARD =
  "close all; deallocate all; set session authorization postgres; reset all; unlisten *; select pg_advisory_unlock_all(); discard temp; discard sequences";

/**
 * The messages that end what a gone client left open, and discard what a session would lose, as far as it is not others'.
 * `members` are all that there are.
 */
export function cleanup(
  { conversation, connection }: Member,
  members: Iterable<Member>,
  session: SharedSession,
): Uint8Array[] {
  if (!conversation.used) return [];
  const messages = [FAILING_BIND, SYNC, encodeFrame(Type.Query, "rollback")];
  for (const name of conversation.engineNames()) messages.push(encodeFrame(Type.Close, `S${name}`));
  messages.push(SYNC);
  const others = [...members].filter((other) => other.connection !== connection && other.conversation.used);
  const alone = (tag: string): boolean =>
    conversation.replies.ran(tag) && !others.some((other) => other.conversation.replies.ran(tag));
  if (others.length === 0) {
    messages.push(encodeFrame(Type.Query, DISCARD));
    session.generation++;
  }
  if (others.length > 0 && alone("SET"))
    messages.push(encodeFrame(Type.Query, "set session authorization postgres; reset all"));
  if (others.length > 0 && alone("LISTEN")) messages.push(encodeFrame(Type.Query, "unlisten *"));
  // A Query drops the session's unnamed statement, whosever it is.
  session.unnamedOwner = undefined;
  return messages;
}
