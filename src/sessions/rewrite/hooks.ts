/**
 * The places of PostgreSQL that call back into JavaScript.
 *
 * Owns: their numbers and what they pass. Does not own: putting the calls there (`postgres.ts`, `checkpoints.ts`, `databases.ts`, `footprints.ts`), answering
 * them (`../waiting.ts`). Invariant: the answer of a hook that changes nothing is its second argument.
 */

/** Which place of PostgreSQL called the hook: its last argument. */
export const Hook = {
  /** `WaitLatch(latch, wakeEvents, timeout, wait_event_info)`: (wakeEvents, timeout) → the timeout to wait with. */
  waitLatch: 0x5afe01,
  /** The same, just before: (wakeEvents, wait_event_info) → nothing. */
  waitEvent: 0x5afe06,
  /** `pg_usleep(microseconds)`: (microseconds, microseconds) → the microseconds still to sleep. */
  sleep: 0x5afe02,
  /** `kill(pid, signal)`: (pid, signal) → the result. */
  kill: 0x5afe03,
  /** `PostgresMain(dbname, username)`, on entry: (dbname, username) → username. */
  postgresMain: 0x5afe04,
  /** `RequestCheckpoint(flags)`: (flags, 1) → 1 to make it here, 0 when there is nothing to wait for, or what to wait for. */
  requestCheckpoint: 0x5afe05,
  /** The same, after each wait: (flags, 0) → 0 when it is done, or the `ConditionVariable` to wait for. */
  awaitCheckpoint: 0x5afe07,
  /** `XLogFileInit(segment, timeline)`, on entry, in a critical section: (the segment's number, timeline) → nothing. */
  walSegment: 0x5afe08,
  /** `ProcessInterrupts()`, on entry: (0, 0) → nothing. */
  interrupts: 0x5afe09,
  /** libc's `sbrk(increment)`, on entry: (increment, increment) → the increment, or what it fails with; the break may have moved. */
  sbrk: 0x5afe0a,
  /** `copydir(from, to, recurse)`, on entry: (from, 0) → whether to ask again. */
  beforeCopy: 0x5afe0b,
  /** The same, afterwards: (from, to) → 0 when it has been copied. */
  copyDirectory: 0x5afe0c,
  /** `standard_ProcessUtility(statement, …)`, on entry: (statement, statement) → the statement to run. */
  utility: 0x5afe0e,
  /** `CountOtherDBBackends(database, …)`, on entry: (database, 1) → 0 when it does not matter who is connected to it. */
  otherBackends: 0x5afe0d,
  /** `load_hba()`, on entry: (0, 0) → 1 when what the process has of pg_hba.conf is what it would come to. */
  accessRules: 0x5afe0f,
  /** `AllocateFile(name, mode)` and its like, on entry: (name, 0) → nothing. */
  openFile: 0x5afe10,
  /** `convert_and_check_filename(name)`, on entry: (a `text`, 0) → nothing. */
  checkFile: 0x5afe11,
  /** `setlocale(category, name)` and `newlocale(mask, name, base)`, on entry: (name, 1) → 0 if there is no such locale. */
  locale: 0x5afe12,
  /**
   * What a statement touches, each on entry of a function: see `footprints.ts`. Of the next four the first is a Relation and the second a block, an
   * ItemPointer, a HeapTuple, or nothing.
   */
  readRelation: 0x5aff00,
  readPage: 0x5aff01,
  readTid: 0x5aff02,
  examineTuple: 0x5aff03,
  /** The Snapshot with which the next of those reads. */
  footprintSnapshot: 0x5aff04,
  /** (Relation, ItemPointer or 0), (Relation, block): of one write. */
  writeTid: 0x5aff05,
  writePage: 0x5aff06,
  /** (Relation, HeapTuple), (Relation, LockTupleMode): of one lock. */
  lockTuple: 0x5aff07,
  lockTupleMode: 0x5aff08,
  /** (LOCKTAG, LOCKMODE). */
  lock: 0x5aff09,
  unlock: 0x5aff0a,
  /** (the sequence's OID). */
  sequence: 0x5aff0b,
  /** (Relation, ItemPointer): an index points there. The next call reports the row there, or none if it was pruned. */
  visitTid: 0x5aff0d,
  /** A statement takes the transaction's snapshot. */
  takeSnapshot: 0x5aff0c,
} as const;

/** The first number of the hooks of footprints. */
export const firstFootprintHook = Hook.readRelation;

/** The import that carries the hooks: PGlite replaces poll() in C, so that only libc's unused poll() calls it else. */
export const hookImport = "__syscall_poll";
