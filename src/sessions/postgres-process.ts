/**
 * What PostgreSQL keeps of one process, read and written in the loaded session's memory.
 *
 * Owns: the variables and structures that the sessions look into, each with its name in PostgreSQL's source and how it is
 * verified. Does not own: when they are read. Invariant: every address here is that of the loaded session, so nothing may
 * be kept across turns, except addresses in shared memory (a PGPROC, a latch).
 */

import { findTimeouts, Timeout } from "./interrupts.ts";
import type { Machine } from "./machine.ts";
import type { Located } from "./rewrite/postgres.ts";

/** Signal numbers, as emscripten's libc has them. */
export const Signal = { hangup: 1, interrupt: 2, user1: 10, user2: 12, alarm: 14, terminate: 15, urgent: 23 } as const;

/** `errno` of a signal to a process that does not exist; emscripten's numbers are WASI's. */
export const noSuchProcess = 71;
/** `errno` of a command of the system. */
export const notPermitted = 63;

/** The pid of the process that PGlite boots; its libc knows no other. */
export const ownPid = 42;

/** `TimeoutId` (utils/timeout.h), as far as it is needed. */
const deadlockTimeout = 1;

/** `WL_*` (storage/waiteventset.h). */
export const WaitEvent = { latchSet: 1, timeout: 8 } as const;

/** `B_BACKEND` (miscadmin.h, BackendType). */
const clientBackend = 1;

/** Offsets in `PGPROC` (storage/proc.h); `checkLayout` compares two of them with variables that hold the same. */
const procXid = 36;
const procPid = 44;
const procDatabase = 60;
const procWaitLock = 92;
const procWaitEvent = 548;

/** Offsets in `PgBackendStatus` (utils/backend_status.h); the start is that of `MyStartTimestamp`. */
const statusPid = 4;
const statusStart = 16;

/** `owner_pid` in `Latch` (storage/latch.h). */
const latchOwner = 12;

/** `struct timeout_params` (utils/misc/timeout.c). */
const timeoutBytes = 40;
const timeoutCount = 23;
const timeoutActive = 4;
const timeoutHandler = 8;
const timeoutIndicator = 5;
const timeoutStart = 16;
const timeoutFinish = 24;
/** `IDLE_STATS_UPDATE_TIMEOUT`. */
const idleStatsTimeout = 10;
/** Those that run while a backend waits for its client's next message, and only then. */
const idleTimeouts: ReadonlySet<number> = new Set([
  Timeout.idleInTransactionSession,
  Timeout.idleSession,
  idleStatsTimeout,
]);

/** Microseconds between the Unix and the PostgreSQL epoch (2000-01-01). */
const postgresEpoch = 946_684_800_000_000n;

const variables = [
  "MyProc",
  "MyProcPid",
  "MyLatch",
  "MyDatabaseId",
  "MyBackendType",
  "MyStartTime",
  "MyProcPort",
  "InterruptPending",
  "ProcDiePending",
  "wal_segment_size",
] as const;
type Variable = (typeof variables)[number];

/** See the head of the file. */
export class PostgresProcess {
  readonly #machine: Machine;
  readonly #located: Located;
  /** The address of `all_timeouts`. */
  readonly timeouts: number;
  readonly #variables: Record<Variable, number>;
  readonly #holdoffCount: number;

  /** `timeouts` is for who knows where they are. */
  constructor(machine: Machine, located: Located, timeouts = findTimeouts(machine.memory.buffer)) {
    this.#machine = machine;
    this.#located = located;
    this.timeouts = timeouts;
    this.#variables = Object.fromEntries(variables.map((name) => [name, machine.address(name)])) as Record<
      Variable,
      number
    >;
    // utils/init/globals.c declares the three counts in this order; the outer two are exported.
    this.#holdoffCount = machine.address("InterruptHoldoffCount");
    if (machine.address("CritSectionCount") !== this.#holdoffCount + 8) {
      throw new Error("QueryCancelHoldoffCount does not lie between InterruptHoldoffCount and CritSectionCount");
    }
  }

  get pid(): number {
    return this.#read("MyProcPid");
  }

  get latch(): number {
    return this.#read("MyLatch");
  }

  /** The address of the PGPROC, in shared memory; 0 when the process has none. */
  get proc(): number {
    return this.#read("MyProc");
  }

  get databaseId(): number {
    return this.#read("MyDatabaseId");
  }

  /** Whether the process of a PGPROC has a transaction open in a database that has changed something. */
  hasChanged(proc: number, database: number): boolean {
    const { words } = this.#machine;
    return proc !== 0 && words[(proc + procDatabase) >> 2] === database && this.transaction(proc) !== 0;
  }

  /** The number of the transaction that the process of a PGPROC has open, if that has changed something; else 0. */
  transaction(proc: number): number {
    return this.#machine.words[(proc + procXid) >> 2]!;
  }

  /** The `LOCK` that the process waits for, in shared memory; 0 for none. */
  get awaitedLock(): number {
    return this.#machine.words[(this.proc + procWaitLock) >> 2]!;
  }

  /** What `pg_stat_activity` shows as the reason of a wait (`wait_event_info`); 0 for none. */
  set waitEvent(info: number) {
    if (this.proc !== 0) this.#machine.setWord(this.proc + procWaitEvent, info);
  }

  /** Whether the process has a snapshot of the catalogs, which holds back what other sessions may clean up. */
  get hasCatalogSnapshot(): boolean {
    return this.#machine.words[this.#located.addresses.catalogSnapshot >> 2] !== 0;
  }

  latchIsSet(): boolean {
    return this.#machine.words[this.latch >> 2] !== 0;
  }

  /** Makes the loaded image of the postmaster the process of a new backend that has no PGPROC yet. */
  becomeBackend(pid: number): void {
    const machine = this.#machine;
    machine.setWord(this.#variables.MyProcPid, pid);
    machine.setWord(this.#variables.MyProc, 0);
    machine.setWord(this.#variables.MyBackendType, clientBackend);
    // As a new process does (InitProcessLocalLatch): its own latch for the time before and after it has a PGPROC.
    machine.setWord(this.#located.addresses.localLatch + latchOwner, pid);
    // As a fork does (on_exit_reset): what the postmaster cleans up is none of the child's business.
    for (const count of this.#located.addresses.exitCallbackCounts) machine.setWord(count, 0);
    const microseconds = BigInt(Math.floor(machine.clock.wallMs * 1000));
    // MyStartTimestamp follows (utils/init/globals.c).
    const times = new BigInt64Array([microseconds / 1_000_000n, microseconds - postgresEpoch]);
    machine.write(this.#variables.MyStartTime, new Uint8Array(times.buffer));
    machine.random.begin(pid);
    machine.write(machine.address("pg_global_prng_state"), machine.random.beginning(16));
  }

  /** The table of prepared statements; 0 before the first one. */
  get preparedStatements(): number {
    return this.#machine.words[this.#located.addresses.preparedStatements >> 2]!;
  }

  /** The `Port` of the connection. */
  get port(): number {
    return this.#read("MyProcPort");
  }

  set port(address: number) {
    this.#machine.setWord(this.#variables.MyProcPort, address);
  }

  /** Has PostgreSQL call ProcessInterrupts when it is ready to. */
  set interruptPending(value: boolean) {
    this.#machine.setWord(this.#variables.InterruptPending, value ? 1 : 0);
  }

  /** Whether ProcessInterrupts would do anything now: no lock of the short kind is held, and no critical section entered. */
  get mayBeInterrupted(): boolean {
    const { words } = this.#machine;
    return words[this.#holdoffCount >> 2] === 0 && words[(this.#holdoffCount + 8) >> 2] === 0;
  }

  /** Whether the backend was told to end and has not yet ended. */
  get isDying(): boolean {
    return this.#read("ProcDiePending") !== 0;
  }

  /** The size of a WAL segment. */
  get segmentBytes(): number {
    return this.#read("wal_segment_size");
  }

  /** The value of a setting as text; that of a number is told in the setting's own unit. */
  setting(name: string): string {
    return settingOf(this.#machine, name);
  }

  /** Undoes `HOLD_CANCEL_INTERRUPTS` of a read that was left by an exception. */
  allowCancel(): void {
    this.#machine.setWord(this.#holdoffCount + 4, 0);
  }

  /** Runs PostgreSQL's own handler of a signal, as if it had arrived now. */
  raise(signal: number): void {
    raiseSignal(this.#machine, this.#located, signal);
  }

  /**
   * When the next of PostgreSQL's timeouts is due, as a time of the clock; infinite for none. None of those by which clients idle, and
   * with `looksForDeadlocks` false not `deadlock_timeout`.
   */
  nextTimeout(looksForDeadlocks = true): number {
    return this.#nextOf((id) => !idleTimeouts.has(id) && (looksForDeadlocks || id !== deadlockTimeout));
  }

  /** When they are due while it waits for its client's next message: those of idle clients are over in real time. */
  idleTimeouts(): { readonly idle: number; readonly other: number } {
    const idle = this.#nextOf((id) => idleTimeouts.has(id));
    return { idle: this.#machine.clock.realTimeOf(idle), other: this.nextTimeout() };
  }

  #nextOf(isMeant: (id: number) => boolean): number {
    let next: bigint | undefined;
    for (let id = 0; id < timeoutCount; id++) {
      if (!isMeant(id)) continue;
      const finish = this.#timeoutFinish(id);
      if (finish !== undefined && (next === undefined || finish < next)) next = finish;
    }
    return next === undefined ? Number.POSITIVE_INFINITY : this.#clockTime(next);
  }

  /**
   * The timer of the deadlock check: whether it has been started since it was looked at here, is still to go off, and after how long. What
   * PostgreSQL sets when one has gone off, clears when it starts one, and asks of other timers only (`indicator`), says that it was looked at.
   */
  seeDeadlockTimer(): { readonly isNew: boolean; readonly isActive: boolean; readonly timeoutMs: number } {
    const at = this.timeouts + deadlockTimeout * timeoutBytes;
    const isNew = this.#machine.bytes[at + timeoutIndicator] === 0;
    if (isNew) this.#machine.write(at + timeoutIndicator, Uint8Array.of(1));
    const timeoutMs = Number(this.#timestamp(at + timeoutFinish) - this.#timestamp(at + timeoutStart)) / 1000;
    return { isNew, isActive: this.#timeoutFinish(deadlockTimeout) !== undefined, timeoutMs };
  }

  /** Has PostgreSQL check for a deadlock now instead of after `deadlock_timeout` (`CheckDeadLockAlert`). */
  checkDeadlock(): void {
    const handler = this.#machine.words[(this.timeouts + deadlockTimeout * timeoutBytes + timeoutHandler) >> 2];
    if (handler) this.#machine.table.get(handler)?.();
  }

  /**
   * Takes the loaded process out of `pg_stat_activity` and out of its database, which others may want to drop or copy.
   * `start` and `end` are those of shared memory. Throws if its entry is not found.
   */
  withdraw(start: number, end: number): void {
    const { words } = this.#machine;
    const startedAt = new BigInt64Array(words.buffer, this.#variables.MyStartTime, 2)[1];
    const found: number[] = [];
    for (let at = words.indexOf(this.pid, start >> 2); at > 0 && at < end >> 2; at = words.indexOf(this.pid, at + 1)) {
      const entry = (at << 2) - statusPid;
      const isAligned = entry % 8 === 0;
      if (isAligned && new BigInt64Array(words.buffer, entry + statusStart, 1)[0] === startedAt) found.push(entry);
    }
    const [entry] = found;
    if (entry === undefined || found.length > 1)
      throw new Error(`${found.length} entries of a process in its activity`);
    this.#machine.setWord(entry + statusPid, 0);
    this.#machine.setWord(this.proc + procDatabase, 0);
  }

  /** Throws if a structure is not laid out as this file says. For a process that is connected to a database. */
  checkLayout(): void {
    const { words } = this.#machine;
    if (words[(this.proc + procPid) >> 2] !== this.pid || words[(this.proc + procDatabase) >> 2] !== this.databaseId) {
      throw new Error("PGPROC is not laid out as in PostgreSQL 18");
    }
  }

  #timeoutFinish(id: number): bigint | undefined {
    const at = this.timeouts + id * timeoutBytes;
    if (this.#machine.bytes[at + timeoutActive] === 0) return undefined;
    return this.#timestamp(at + timeoutFinish);
  }

  #timestamp(address: number): bigint {
    return new BigInt64Array(this.#machine.memory.buffer, address, 1)[0]!;
  }

  /**
   * `Clock.nowMs` at a TimestampTz. By what PostgreSQL takes for the time now: the machine's may have been set, and has gone on while the
   * machine slept, which what deadlines are measured by has not.
   */
  #clockTime(timestamp: bigint): number {
    const { clock } = this.#machine;
    return clock.nowMs + Number(timestamp + postgresEpoch) / 1000 - clock.wallMs;
  }

  #read(variable: Variable): number {
    return this.#machine.words[this.#variables[variable] >> 2]!;
  }
}

/** Runs the loaded process's own handler of a signal, as if it had arrived now. */
export function raiseSignal(machine: Machine, { addresses }: Located, signal: number): void {
  const handler = machine.words[(addresses.signalHandlers >> 2) + signal];
  if (handler) machine.table.get(handler)?.(signal);
}

/** See `PostgresProcess.setting`. */
export function settingOf(machine: Machine, name: string): string {
  const text = new TextEncoder().encode(`${name}\0`);
  const address = machine.function("malloc")(text.length);
  machine.write(address, text);
  const value = machine.function("GetConfigOption")(address, 0, 0);
  machine.function("free")(address);
  const { bytes } = machine;
  return Buffer.from(bytes.slice(value, bytes.indexOf(0, value))).toString("utf8");
}
