/**
 * Who looks for a deadlock, and when: PostgreSQL's own checks, brought forward.
 *
 * Owns: when a wait for a lock has begun, and in which order the checks of those in a circle come. Does not own: circles (`deadlock.ts`), what a
 * check comes to (PostgreSQL).
 * PostgreSQL looks for a deadlock when a wait has lasted `deadlock_timeout`. A circle can only come into being when a wait begins, so the
 * checks of its members are brought forward to that moment, in the order in which they would have come: the victim is PostgreSQL's, unless it
 * depends on what a third one would have done until then. Where another timeout would have ended one of the waits before, none is brought forward.
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
    // PostgreSQL's own check may have come before this one was asked at all.
    if (session.lockWait) session.lockWait.isDue = isActive;
    return undefined;
  }
  assert(isActive, "a wait for a lock has begun, and PostgreSQL has not said when it will look for a deadlock");
  // Not as PostgreSQL has it, whose clock counts milliseconds, in which several waits may begin.
  const checkAt = machine.clock.nowMs + timeoutMs;
  session.lockWait = { number: ++waits, timeoutMs, checkAt, endsAt: process.nextTimeout(false), isDue: true };
  return bringForward(host, session);
}

function bringForward(host: SessionContext, session: SessionState): Promise<void> | undefined {
  // Whose check was brought forward is in no circle any more: it has failed, or PostgreSQL has put the queue of its lock in another order.
  const checked = new Set<SessionState>();
  for (;;) {
    const members = inDeadlock(host, session, checked);
    const first = firstOf(host, members);
    if (!first || endsBefore(host, members, first)) return undefined;
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

/** Whether the wait of one of them is over before anybody would have looked: then nothing is brought forward. */
function endsBefore(host: SessionContext, members: readonly SessionState[], first: SessionState): boolean {
  return (
    !isTimeless(host, members) && members.some(({ lockWait }) => lockWait && lockWait.endsAt < first.lockWait!.checkAt)
  );
}

function isTimeless(host: SessionContext, members: readonly SessionState[]): boolean {
  return members.every(({ pid }) => host.scheduler.decided.has(pid));
}

/** Whose check comes first. */
function firstOf(host: SessionContext, members: readonly SessionState[]): SessionState | undefined {
  const haveNoLength = isTimeless(host, members);
  const before = (one: LockWait, other: LockWait): number =>
    (haveNoLength ? one.timeoutMs - other.timeoutMs : one.checkAt - other.checkAt) || one.number - other.number;
  const [first] = members
    .filter(({ lockWait }) => lockWait && (haveNoLength || lockWait.isDue))
    .sort((one, other) => before(one.lockWait!, other.lockWait!));
  return first;
}
