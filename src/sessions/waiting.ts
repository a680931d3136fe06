/**
 * What a session does while it waits: for a latch, for a while, for input, for its output to be taken.
 *
 * Owns: the calls of the machine. Does not own: who runs meanwhile (`scheduler.ts`), looking for deadlocks (`deadlock-checks.ts`).
 * Mirrors WaitLatch and the signal handlers: whatever happens to a waiting backend (a signal, one of PostgreSQL's
 * timeouts) is handled by PostgreSQL's own handlers in its own memory; they set its latch, which ends the wait.
 */
import assert from "node:assert/strict";
import { setImmediate as turnOfTheLoop } from "node:timers/promises";
import { limits } from "../limits.ts";
import { endOfOutput, isReady } from "../wire/ready-for-query.ts";
import { lookForDeadlock } from "./deadlock-checks.ts";
import { isLocale } from "./locales.ts";
import type { MachineCalls } from "./machine.ts";
import { Signal, WaitEvent } from "./postgres-process.ts";
import { administratorCommand } from "./refusals.ts";
import { firstFootprintHook, Hook } from "./rewrite/hooks.ts";
import type { Wait } from "./scheduler.ts";
import { refuseOtherFileNames, refuseOtherFiles } from "./server-files.ts";
import { ProcessExit, type SessionContext, type SessionState } from "./session-context.ts";

/** What a session waits for by the classes of its wait events (`PG_WAIT_LOCK`, `PG_WAIT_TIMEOUT`; utils/wait_classes.h). */
const reasons: ReadonlyMap<number, Wait["reason"]> = new Map([
  [0x03, "lock"],
  [0x09, "time"],
]);

/** The calls of the machine while sessions run on it. */
export function sessionCalls(host: SessionContext): MachineCalls {
  let waitEvent = 0;
  return {
    hook: (first, second, kind) => {
      if (kind === Hook.waitEvent) waitEvent = second;
      if (kind === Hook.waitLatch) return waitLatch(host, first, second, waitEvent);
      if (kind === Hook.sbrk) return host.windows.sbrk(host.scheduler.loaded.window, first);
      if (kind === Hook.sleep) return sleep(host, first);
      if (kind === Hook.kill) return host.kill(first, second);
      if (kind === Hook.interrupts) return processInterrupts(host);
      if (kind === Hook.accessRules) return host.machine.accessRules?.hold(host.process.pid) ? 1 : second;
      const { running } = host.scheduler;
      if (!running) return second;
      if (kind >= firstFootprintHook) {
        if (!running.isUnwatched) host.machine.footprints.see(running.pid, kind, first, second);
        return second;
      }
      if (kind === Hook.openFile) refuseOtherFiles(host.machine, first);
      if (kind === Hook.checkFile) refuseOtherFileNames(host.machine, first);
      // A database that was made with another one before these were refused can be connected to.
      if (kind === Hook.locale) return running.proc === 0 || isLocale(host.machine, first) ? second : 0;
      if (kind === Hook.utility) return host.copies.statement(running, first);
      if (kind === Hook.requestCheckpoint)
        return host.copies.needsNoCheckpoint(running) ? 0 : host.checkpointer.request(running, first);
      if (kind === Hook.awaitCheckpoint) return host.checkpointer.awaited(running);
      if (kind === Hook.walSegment) host.checkpointer.segmentBegun(running, first);
      if (kind === Hook.otherBackends) return ignoresOthers(host, running) ? 0 : second;
      if (kind === Hook.beforeCopy) return host.copies.before(running, first);
      if (kind === Hook.copyDirectory) return host.copies.copy(running, first, second) ? 0 : second;
      return second;
    },
    read: (address, length) => read(host, address, length),
    write: (address, length) => write(host, address, length),
    exit: (status) => {
      throw new ProcessExit(status);
    },
  };
}

/** Who wants a database for himself asks who else is in it, again and again for some seconds. */
function ignoresOthers(host: SessionContext, session: SessionState): boolean {
  if (host.copies.ignoresOthers(session)) return true;
  host.places.endDispensable();
  return false;
}

/** Answers with the timeout that WaitLatch shall wait with: any if the latch is set, 0 if the time is over. */
function waitLatch(host: SessionContext, events: number, timeout: number, event: number): number | Promise<number> {
  const session = host.scheduler.running;
  const watchesLatch = (events & WaitEvent.latchSet) !== 0;
  const finite = (events & WaitEvent.timeout) !== 0;
  // PGlite's own process answers its own few calls without the scheduler.
  if (!session || (watchesLatch && host.process.latchIsSet()) || (finite && timeout <= 0)) return timeout;
  const deadline = finite ? timeOf(host, session) + timeout : Number.POSITIVE_INFINITY;
  host.process.waitEvent = event;
  const waited = waitUntil(host, session, watchesLatch ? host.process.latch : undefined, deadline, timeout, event);
  return waited.finally(() => {
    host.process.waitEvent = 0;
  });
}

async function waitUntil(
  host: SessionContext,
  session: SessionState,
  latch: number | undefined,
  deadline: number,
  timeout: number,
  event: number,
): Promise<number> {
  const { process, machine } = host;
  const now = () => timeOf(host, session);
  const reason = reasons.get(event >>> 24);
  for (;;) {
    const waitsForLock = session.proc !== 0 && process.awaitedLock !== 0;
    const until = waitsForLock ? lookForDeadlock(host, session) : undefined;
    // Of one that is decided about every deadlock is found when it comes into being; a timer would only bring others' turns out of their order.
    const next = process.nextTimeout(!waitsForLock || !host.scheduler.decided.has(session.pid));
    const due = Math.min(deadline, next - machine.clock.nowMs + now());
    const latchIsSet = latch !== undefined && process.latchIsSet();
    if (!latchIsSet && due > now()) {
      await park(host, session, {
        ...(latch === undefined ? {} : { latch }),
        ...(Number.isFinite(due) ? { deadline: due } : {}),
        ...(reason ? { reason } : {}),
        ...(reason === "lock" ? { proc: process.proc } : {}),
        ...(until ? { until } : {}),
        isReal: session.waitsInRealTime,
      });
    }
    if (session.checkDeadlock) process.checkDeadlock();
    session.checkDeadlock = false;
    host.deliverSignals(session);
    raiseAlarm(host);
    if (latch !== undefined && process.latchIsSet()) return timeout;
    if (deadline <= now()) return 0;
  }
}

/** By what a session's waits are measured. */
function timeOf({ machine }: SessionContext, { waitsInRealTime }: SessionState): number {
  return waitsInRealTime ? performance.now() : machine.clock.nowMs;
}

/** Parks the running session; resolves in its next turn, with the memory of its backend loaded. */
async function park(host: SessionContext, session: SessionState, wait: Wait): Promise<void> {
  await host.scheduler.park(wait);
  assert(host.scheduler.running === session, "a wait was over in the turn of another session");
  assert(host.process.pid === session.pid, "a wait was over with the memory of another backend loaded");
}

/** What SIGALRM does when the time of one of PostgreSQL's timeouts has come. */
function raiseAlarm({ process, machine }: SessionContext): void {
  if (process.nextTimeout() <= machine.clock.nowMs) process.raise(Signal.alarm);
}

function sleep(host: SessionContext, microseconds: number): number | Promise<number> {
  const session = host.scheduler.running;
  if (!session || microseconds <= 0) return microseconds;
  // A pause that spares the disk (vacuum_cost_delay in ANALYZE, commit_delay) is made with a lock of the short kind held: whoever wanted
  // it would block the thread that all run on, for good.
  if (!host.process.mayBeInterrupted) return 0;
  // PostgreSQL gives others time so, as CREATE DATABASE does those who are to leave, who may be clients.
  const deadline = performance.now() + microseconds / 1000;
  return park(host, session, { deadline, isReal: true }).then(() => {
    host.deliverSignals(session);
    return 0;
  });
}

/**
 * What is done where PostgreSQL may be interrupted: its alarm, which nobody else sets off while a session computes; a session
 * that writes much WAL waits for the checkpointer now and then; and one that has run for long lets the others run.
 */
function processInterrupts(host: SessionContext): number | Promise<number> {
  const session = host.scheduler.running;
  if (!session) return 0;
  raiseAlarm(host);
  const waitMs = host.checkpointer.yieldMs(session);
  if (waitMs !== undefined) return pause(host, session, { deadline: performance.now() + waitMs, isReal: true });
  // Whoever holds a lock of the short kind, or is in a critical section, cannot be interrupted and is asked again later.
  if (!session.mayGiveWay || !host.process.mayBeInterrupted || !host.isAskedToGiveWay()) return 0;
  return pause(host, session, { until: turnsOfTheLoop(), givesWay: true });
}

/** Two: a client that connects is accepted in the first, and what it says is read in the second. */
async function turnsOfTheLoop(): Promise<void> {
  await turnOfTheLoop();
  await turnOfTheLoop();
}

async function pause(host: SessionContext, session: SessionState, wait: Wait): Promise<number> {
  await park(host, session, wait);
  host.deliverSignals(session);
  raiseAlarm(host);
  return 0;
}

function read(host: SessionContext, address: number, length: number): number | Promise<number> {
  const session = host.scheduler.running;
  if (!session) return 0;
  const take = (bytes: Uint8Array) => {
    host.machine.write(address, bytes);
    return bytes.length;
  };
  const bytes = session.input.read(length);
  if (bytes instanceof Uint8Array) return take(bytes);
  const isDying = () => host.process.isDying;
  return waitForClient(host, session, bytes, isDying).then((received) => {
    // As in ProcessClientReadInterrupt() (tcop/postgres.c). The client does not get the error that PostgreSQL raises for the end of the input.
    if (!received && !session.abandoned) {
      void session.output(administratorCommand);
      silenced.add(session);
    }
    return take(received ?? new Uint8Array(0));
  });
}

/** PostgreSQL's send: answers how much was taken; PostgreSQL calls again with the rest (libpq/pqcomm.c, internal_flush_buffer). */
function write(host: SessionContext, address: number, wanted: number): number | Promise<number> {
  const session = host.scheduler.running;
  if (!session) return wanted;
  const length = Math.min(wanted, limits.writeBytes);
  const bytes = host.machine.bytes.subarray(address, address + length);
  session.endOfOutput = endOfOutput(session.endOfOutput, bytes);
  session.saidReady = isReady(session.endOfOutput);
  if (silenced.has(session)) return length;
  const taken = session.output(bytes);
  if (!taken) return length;
  const isDying = () => host.process.isDying;
  return waitForClient(host, session, taken, isDying).then(() => {
    if (isDying()) silenced.add(session);
    return length;
  });
}

/** Sessions that were told to end while their clients did not read, as in ProcessClientWriteInterrupt() (tcop/postgres.c), or did not send. They send no more output. */
const silenced = new WeakSet<SessionState>();

/** Parks until the client has done its part; undefined if the session is told to end before that, or `isOver`. */
async function waitForClient<T>(
  host: SessionContext,
  session: SessionState,
  until: Promise<T>,
  isOver: () => boolean = () => false,
): Promise<T | undefined> {
  let result: T | undefined;
  let settled = false;
  const done = until.then(
    (value) => {
      result = value;
      settled = true;
    },
    () => {
      settled = true;
    },
  );
  while (!settled) {
    // It may have been told so before this wait began, while its batch waited for a turn: nobody would end the wait.
    if (session.abandoned || isOver()) return undefined;
    await park(host, session, { until: done });
    session.hasLateSignals ||= session.signals.length > 0;
    host.deliverSignals(session);
    // A turn may be too short for the hook of the interrupts: a COPY whose data comes late and in small pieces has only such.
    raiseAlarm(host);
  }
  return result;
}
