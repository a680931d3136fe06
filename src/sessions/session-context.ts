/**
 * What a session and the code that waits for it know of each other and of the machine.
 *
 * Owns: the interfaces between `session.ts`, `waiting.ts`, `deadlock.ts` and their host. Does not own: what they do.
 */
import type { EntryPoints } from "./entry-points.ts";
import type { IdleTimers } from "./idle-timers.ts";
import type { Machine } from "./machine.ts";
import type { PostgresProcess } from "./postgres-process.ts";
import type { Schedulable, Scheduler } from "./scheduler.ts";
import type { Windows } from "./windows.ts";

/** Where a session's input comes from. */
export interface SessionInput {
  /** Up to `length` bytes; empty when there will be no more. A promise parks the session, and the others run. */
  read(length: number): Uint8Array | Promise<Uint8Array>;
  /** Whether there are bytes that have not been read. */
  readonly pending: boolean;
}

/** Nothing, and nothing to come. */
export const noInput: SessionInput = { read: () => new Uint8Array(0), pending: false };

/** An input of these bytes and no more. */
export function bytesInput(whole: Uint8Array): SessionInput {
  let at = 0;
  return {
    get pending() {
      return at < whole.length;
    },
    read: (length) => {
      const bytes = whole.subarray(at, at + length);
      at += bytes.length;
      return bytes;
    },
  };
}

/** Takes a session's output, a view that is valid only during the call. A promise parks the session until it is settled. */
export type SessionOutput = (bytes: Uint8Array) => void | Promise<void>;

/** Whose a session is, for a person: UTF-8. A new one for each statement. */
export interface SessionOwner {
  readonly application: Uint8Array;
  readonly statement: Uint8Array;
}

/** A statement with a name. */
export interface NamedStatement {
  readonly name: string;
  readonly text: string;
  /** The types of its parameters, as OIDs. */
  readonly types: readonly number[];
  /** Its `CommandTag`. */
  readonly tag: number;
  /** The row type of its result, as its client knows it: PostgreSQL's own bytes. */
  readonly result?: Uint8Array;
}

/** What a client has set up in its session, beside what is gone with it: see `session-state.ts`. */
export interface ClientState {
  readonly settings: readonly (readonly [name: string, value: string])[];
  readonly statements: readonly NamedStatement[];
  /** Those of LISTEN. */
  readonly channels: readonly string[];
}

/** A wait for a lock; see `deadlock-checks.ts`. */
export interface LockWait {
  /** Grows with every wait that begins in any session. */
  readonly number: number;
  /** `deadlock_timeout`. */
  readonly timeoutMs: number;
  /** When PostgreSQL would look for a deadlock, as a time of the clock (`Clock.nowMs`). */
  readonly checkAt: number;
  /** When another timeout ends the wait (`lock_timeout`, `statement_timeout`), as a time of the clock; infinite for none. */
  readonly endsAt: number;
  /** Whether the check is still to come. */
  isDue: boolean;
}

/** What others than the session itself know and set of it. */
export interface SessionState extends Schedulable {
  readonly owner: SessionOwner | undefined;
  /** Addresses in shared memory; 0 before the start and after the end. */
  readonly proc: number;
  readonly latch: number;
  readonly input: SessionInput;
  readonly output: SessionOutput;
  /** Signals that have arrived and whose handlers have not run. */
  readonly signals: number[];
  /** Whether it waits by the real time, whatever the clock says: it is no client's, and what it does is not a part of what they see. */
  readonly waitsInRealTime: boolean;
  /** Whether it may be parked where PostgreSQL looks for interrupts. */
  readonly mayGiveWay: boolean;
  /** Whether the last output ended with ReadyForQuery; if not, the client is in the middle of a pipeline. */
  saidReady: boolean;
  /** Its last bytes, as many as ReadyForQuery has. */
  endOfOutput: Uint8Array;
  /** Whether handlers of signals have run while its output was not taken: PostgreSQL looks at what they have set before it reads. */
  hasLateSignals: boolean;
  /** While it waits for a lock. */
  lockWait: LockWait | undefined;
  /** Set to have PostgreSQL check for a deadlock in the session's next turn. */
  checkDeadlock: boolean;
  /** Since when it waits for its client's next message with a transaction open, as a time of `performance.now()`. */
  readonly idleInTransactionSince: number | undefined;
  /** Whether it has ever said LISTEN. */
  hasListened: boolean;
  /** Whether it works for the server and not for its client: its footprints are not recorded. */
  readonly isUnwatched: boolean;
  /** Set when nobody is interested in the session any more, to end its waiting for a client. */
  abandoned: boolean;
}

/** What PostgreSQL's calls for checkpoints come to; see `Checkpointer`. */
export interface CheckpointRequests {
  request(session: SessionState, flags: number): number;
  awaited(session: SessionState): number;
  segmentBegun(session: SessionState, segment: number): void;
  yieldMs(session: SessionState): number | undefined;
}

/** What PostgreSQL's copies of databases come to; see `DatabaseCopies`. */
export interface CopyRequests {
  statement(session: SessionState, planned: number): number;
  needsNoCheckpoint(session: SessionState): boolean;
  ignoresOthers(session: SessionState): boolean;
  before(session: SessionState, from: number): 0 | Promise<1>;
  copy(session: SessionState, from: number, to: number): boolean;
}

/** What a session needs of its host; see `SessionHost`. */
export interface SessionContext {
  readonly machine: Machine;
  readonly process: PostgresProcess;
  readonly entry: EntryPoints;
  readonly windows: Windows;
  readonly scheduler: Scheduler<SessionState>;
  readonly checkpointer: CheckpointRequests;
  readonly copies: CopyRequests;
  readonly places: { endDispensable(): void };
  /** Whether the running turn has been asked to let the others run. */
  isAskedToGiveWay(): boolean;
  readonly idleTimers: Pick<IdleTimers<SessionState>, "clear">;
  byProc(proc: number): SessionState | undefined;
  kill(pid: number, signal: number): number;
  deliverSignals(session: SessionState): void;
  becameIdle(session: SessionState): void;
  ended(session: SessionState): void;
  /** To be told what is no error of PostgreSQL's, and waited for: the turn in which that happened has no end. */
  crashed(error: unknown): Promise<never>;
  string(text: string): number;
}

/** What PostgreSQL passes to `exit`, thrown through its stack. */
export class ProcessExit {
  readonly status: number;
  constructor(status: number) {
    this.status = status;
  }
}
