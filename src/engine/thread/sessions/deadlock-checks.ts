/**
 * Who looks for a deadlock, and when: PostgreSQL's own checks, brought forward.
 *
 * Owns: when a wait for a lock has begun, and in which order the checks of those in a circle come. Does not own: circles (`deadlock.ts`), what a
 * check comes to (PostgreSQL).
 * PostgreSQL looks for a deadlock when a wait has lasted `deadlock_timeout`. A circle can only come into being when a wait begins, so the
 * checks of its members are brought forward to that moment, in the order in which they would have come: the victim is PostgreSQL's.
 * Invariant: of waits with the same `deadlock_timeout` the one that began first is checked first, however little lies between them. Where
 * somebody decides who goes on (`explore`), a wait has no length: who is the victim depends on the order of the waits alone, never on a clock.
 */
import assert from "node:assert/strict";
import { inDeadlock } from "./deadlock.ts";
import type { LockWait, SessionContext, SessionState } from "./session-context.ts";

let waits = 0;

/**
 * For the running session where it waits for a lock, at the beginning and whenever it has been woken for something else. If its own check is
 * to come behind those of others, the result is settled when these have been woken.
 */
export function lookForDeadlock(host: SessionContext, session: SessionState): Promise<void> | undefined {
  const { process, machine } = host;
  const { isNew, isActive, timeoutMs } = process.seeDeadlockTimer();
  if (!isNew) {
    assert(session.lockWait, "a wait for a lock goes on that has not begun");
    session.lockWait.isDue = isActive;
    return undefined;
  }
  assert(isActive, "a wait for a lock has begun, and PostgreSQL has not said when it will look for a deadlock");
  // Not as PostgreSQL has it, whose clock counts milliseconds, in which several waits may begin.
  session.lockWait = { number: ++waits, timeoutMs, checkAt: machine.clock.nowMs + timeoutMs, isDue: true };
  return bringForward(host, session);
}

function bringForward(host: SessionContext, session: SessionState): Promise<void> | undefined {
  // Whose check was brought forward is in no circle any more: it has failed, or PostgreSQL has put the queue of its lock in another order.
  const checked = new Set<SessionState>();
  for (;;) {
    const first = firstOf(host, inDeadlock(host, session, checked));
    if (!first) return undefined;
    if (first === session) break;
    checked.add(first);
    first.checkDeadlock = true;
    host.scheduler.wake(first);
  }
  if (checked.size === 0) {
    host.process.checkDeadlock();
    return undefined;
  }
  session.checkDeadlock = true;
  return Promise.resolve();
}

/** Whose check comes first. */
function firstOf(host: SessionContext, members: readonly SessionState[]): SessionState | undefined {
  const isTimeless = members.every(({ pid }) => host.scheduler.decided.has(pid));
  const before = (one: LockWait, other: LockWait): number =>
    (isTimeless ? one.timeoutMs - other.timeoutMs : one.checkAt - other.checkAt) || one.number - other.number;
  const [first] = members
    .filter(({ lockWait }) => lockWait && (isTimeless || lockWait.isDue))
    .sort((one, other) => before(one.lockWait!, other.lockWait!));
  return first;
}
