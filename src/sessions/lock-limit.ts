/**
 * How long a session waits for what somebody else has locked, in real time: a limit where none of PostgreSQL's own is in force, and which lock
 * it was where one is.
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

/**
 * Looks every `ms` which lock the session waits for, until `stop`. `last` is the lock of the last look that found one: after an error 55P03
 * (lock_not_available), which does not name the holder, it is the lock of that error if `ms` is shorter than `lock_timeout`.
 */
export function watchLockWait(host: SessionContext, session: SessionState, ms: number) {
  let last: LockWait | undefined;
  const timer = setInterval(() => {
    last = lockWait(host, session) ?? last;
  }, ms);
  return { last: () => last, stop: () => clearInterval(timer) };
}
