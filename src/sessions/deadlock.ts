/**
 * Who waits for whom: which sessions a lock is held by, and whether sessions wait for each other in a circle.
 *
 * Owns: reading the lock tables in shared memory. Does not own: deciding about a circle: this only says who is in one; when PostgreSQL's own
 * check is run, and in whom, is said in `deadlock-checks.ts`.
 * Mirrors storage/lmgr/deadlock.c, FindLockCycle, and storage/lmgr/lock.c, LockConflicts.
 */
import type { SessionContext, SessionState } from "./session-context.ts";

/** Offsets in `LOCK`, `PROCLOCK` (storage/lock.h) and `PGPROC` (storage/proc.h). */
const lockProcLocks = 24;
const lockWaiters = 32;
const procLockProc = 4;
const procLockHeld = 12;
const procLockLink = 20;
const procWaitLock = 92;
const procWaitLockMode = 100;
/** Offsets in `LOCKTAG`, with which a `LOCK` begins (storage/locktag.h): the second field, and the type; `LOCKTAG_RELATION`, `LOCKTAG_OBJECT`. */
const tagSecond = 4;
const tagType = 14;
const relation = 0;
const object = 8;
/** What a session reads before it has begun, and what the commands about databases write (catalog/pg_*_d.h). */
const catalogs = new Map([
  [1213, "pg_tablespace"],
  [1214, "pg_shdepend"],
  [1247, "pg_type"],
  [1249, "pg_attribute"],
  [1255, "pg_proc"],
  [1259, "pg_class"],
  [1260, "pg_authid"],
  [1261, "pg_auth_members"],
  [1262, "pg_database"],
  [2601, "pg_am"],
  [2602, "pg_amop"],
  [2603, "pg_amproc"],
  [2396, "pg_shdescription"],
  [2610, "pg_index"],
  [2615, "pg_namespace"],
  [2616, "pg_opclass"],
  [2964, "pg_db_role_setting"],
  [3592, "pg_shseclabel"],
]);
/** A corrupt list must not hang the engine. */
const longestList = 100_000;

/**
 * The modes that conflict with each mode, as bits: from ACCESS SHARE (1) to ACCESS EXCLUSIVE (8), the table of "Table-Level
 * Locks" in the manual. All kinds of locks use it.
 */
const conflicts = [
  [],
  [8],
  [7, 8],
  [5, 6, 7, 8],
  [4, 5, 6, 7, 8],
  [3, 4, 6, 7, 8],
  [3, 4, 5, 6, 7, 8],
  [2, 3, 4, 5, 6, 7, 8],
  [1, 2, 3, 4, 5, 6, 7, 8],
].map((modes) => modes.reduce((mask, mode) => mask | (1 << mode), 0));

/** The sessions whose locks `session` waits for: those that hold one in a mode that conflicts. */
export function blockers(host: SessionContext, session: SessionState): SessionState[] {
  return blockingProcs(host, session.proc).flatMap((proc) => host.byProc(proc) ?? []);
}

/** The PGPROCs that one waits for. */
function blockingProcs({ machine: { words } }: SessionContext, proc: number): number[] {
  const lock = proc === 0 ? 0 : words[(proc + procWaitLock) >> 2]!;
  if (lock === 0) return [];
  const mask = conflicts[words[(proc + procWaitLockMode) >> 2]!] ?? 0;
  return holders(words, lock, mask).filter((other) => other !== proc);
}

/** A lock that a session waits for. */
export interface LockWait {
  /** What is locked. */
  readonly what: string;
  /** The sessions that have it in a mode that conflicts. */
  readonly holders: readonly SessionState[];
}

/** The lock that a parked session waits for, also one that has not begun; undefined if it waits for none. */
export function lockWait(host: SessionContext, session: SessionState): LockWait | undefined {
  const proc = host.scheduler.waitOf(session)?.proc;
  const { words, bytes } = host.machine;
  const lock = proc === undefined ? 0 : words[(proc + procWaitLock) >> 2]!;
  if (proc === undefined || lock === 0) return undefined;
  const second = words[(lock + tagSecond) >> 2]!;
  const type = bytes[lock + tagType];
  const inRelation = type === relation ? (catalogs.get(second) ?? `relation ${second}`) : "a part of a catalog";
  const holding = blockingProcs(host, proc).flatMap((each) => host.byProc(each) ?? []);
  return { what: type === object ? "the database" : inRelation, holders: holding };
}

/**
 * Whether `session` waits for what only another session can do: give back a lock, or end. Not what ends by itself, as a sleep, and not
 * what its client has to do.
 */
export function isBlocked(host: SessionContext, session: SessionState): boolean {
  const wait = host.scheduler.waitOf(session);
  if (wait?.latch === undefined || wait.until || wait.givesWay) return false;
  return wait.deadline === undefined || host.machine.words[(session.proc + procWaitLock) >> 2] !== 0;
}

/**
 * Whether `session` goes on without any client: it waits for a time, or for locks of such only. The clock may jump to the end of its wait then; what
 * a client takes its time for has no length in discrete time.
 */
export function goesOnByItself(host: SessionContext, session: SessionState, seen = new Set([session])): boolean {
  const wait = host.scheduler.waitOf(session);
  if (wait?.reason !== "lock") return wait?.reason === "time";
  const procs = blockingProcs(host, session.proc);
  // A lock that nobody has is to be had in a moment.
  return (
    procs.length > 0 &&
    procs.every((proc) => {
      // A prepared transaction has no session.
      const holder = host.byProc(proc);
      if (!holder) return false;
      if (seen.has(holder)) return true;
      return goesOnByItself(host, holder, seen.add(holder));
    })
  );
}

/** The sessions that wait for each other in circles with `session`, itself included, where none of `without` waits; none if it is in no circle. */
export function inDeadlock(
  host: SessionContext,
  session: SessionState,
  without: ReadonlySet<SessionState> = new Set(),
): SessionState[] {
  const edges = new Map<number, number[]>();
  const waiting = [session.proc];
  for (let proc = waiting.pop(); proc !== undefined; proc = waiting.pop()) {
    if (edges.has(proc)) continue;
    const member = host.byProc(proc);
    const next = member && without.has(member) ? [] : waitedFor(host.machine.words, proc);
    edges.set(proc, next);
    waiting.push(...next);
  }
  // Those that reach it, of those that it reaches.
  const reaching = new Set<number>();
  for (let count = -1; count < reaching.size; ) {
    count = reaching.size;
    for (const [proc, next] of edges)
      if (next.some((each) => each === session.proc || reaching.has(each))) reaching.add(proc);
  }
  if (!reaching.has(session.proc)) return [];
  return [...reaching].flatMap((proc) => host.byProc(proc) ?? []);
}

/** The PGPROCs that one waits for: those that hold its lock in a mode that conflicts, or want it so and came before. */
function waitedFor(words: Uint32Array, proc: number): number[] {
  const lock = words[(proc + procWaitLock) >> 2]!;
  if (lock === 0) return [];
  const mask = conflicts[words[(proc + procWaitLockMode) >> 2]!] ?? 0;
  return [...holders(words, lock, mask), ...waitersBefore(words, lock, proc, mask)].filter((other) => other !== proc);
}

/** The PGPROCs that hold the lock in one of the modes. */
function holders(words: Uint32Array, lock: number, modes: number): number[] {
  const head = lock + lockProcLocks;
  const procs: number[] = [];
  let link = words[(head + 4) >> 2]!;
  for (let count = 0; link !== head && link !== 0 && count < longestList; count++) {
    const procLock = link - procLockLink;
    if ((words[(procLock + procLockHeld) >> 2]! & modes) !== 0) procs.push(words[(procLock + procLockProc) >> 2]!);
    link = words[(link + 4) >> 2]!;
  }
  return procs;
}

/** The PGPROCs that wait for the lock in one of the modes before `proc` does; a PGPROC's first member is its link in that queue. */
function waitersBefore(words: Uint32Array, lock: number, proc: number, modes: number): number[] {
  const head = lock + lockWaiters;
  const procs: number[] = [];
  let link = words[(head + 4) >> 2]!;
  for (let count = 0; link !== head && link !== 0 && link !== proc && count < longestList; count++) {
    if ((modes & (1 << words[(link + procWaitLockMode) >> 2]!)) !== 0) procs.push(link);
    link = words[(link + 4) >> 2]!;
  }
  return procs;
}
