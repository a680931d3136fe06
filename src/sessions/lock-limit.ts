/**
 * A limit, in real time, for what a session waits for that somebody else has locked, where none of PostgreSQL's own is in force.
 *
 * Owns: when it is over. Does not own: what is done then. Invariant: who only waits for turns of others has no limit; no timer outlives the work.
 */
import { type LockWait, lockWait } from "./deadlock.ts";
import type { SessionContext, SessionState } from "./session-context.ts";

/** How long to wait between two looks when the time is over, in ms. */
const lookAgainMs = 20;

/** Calls `onOver` once, when so many ms have passed and the session waits for a lock, unless what it answers with is called before. */
export function limitLockWait(
  host: SessionContext,
  session: SessionState,
  ms: number,
  onOver: (wait: LockWait) => void,
): () => void {
  let timer = setTimeout(look, ms);
  function look(): void {
    const wait = lockWait(host, session);
    if (wait) onOver(wait);
    else timer = setTimeout(look, lookAgainMs);
  }
  return () => clearTimeout(timer);
}
