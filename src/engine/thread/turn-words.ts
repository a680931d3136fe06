/**
 * The words by which the engine thread, its watchdog and the main thread understand each other while a turn lasts.
 *
 * Owns: their places and meanings, and the lock around PostgreSQL's interrupt flags. Does not own: any side (`shared-session.ts`,
 * `../../thread/`, `../engine-worker.ts`).
 */
import type { MessagePort } from "node:worker_threads";
import type { InterruptAddresses } from "../../sessions/interrupts.ts";

/** Places in an Int32Array that all see. */
export const TurnWord = {
  /** Counts the beginnings and the ends of turns: odd while somebody has one. */
  turn: 0,
  /** 1 while the watchdog sleeps until `turn` changes. */
  isAsleep: 1,
  /** The turn that was asked last to give way. */
  asked: 2,
  /** Whose turn it is: the process id, and the lengths of what `names` has of it. */
  pid: 3,
  applicationBytes: 4,
  statementBytes: 5,
  /** 1 while somebody reads or writes `turn` together with PostgreSQL's interrupt flags. */
  guard: 6,
  /** Through which listener the client has come whose turn it is; 0 for the process itself. */
  listener: 7,
  /** The listener that is being stopped, or `everybody`: what runs for it is to end. */
  stopping: 8,
  /** The turn that its client has cancelled before it began. */
  cancelled: 9,
  /** The turn whose `transaction_timeout` was over. */
  transactionOver: 10,
} as const;

/** What `stopping` is while nobody is stopped. */
export const nobody = -1;
/** What it is while all are. */
export const everybody = -2;

/** Whether the listener that the running turn is for is being stopped. */
export function isForStopped(words: Int32Array): boolean {
  const stopping = Atomics.load(words, TurnWord.stopping);
  return stopping === everybody || stopping === Atomics.load(words, TurnWord.listener);
}

/** So much of an application_name and of a statement is kept. */
export const nameBytes = 128;

/** What is seen by all; it is made on the main thread. */
export interface TurnMemory {
  readonly words: Int32Array<SharedArrayBuffer>;
  /** Whose turn it is: its application_name, and behind `nameBytes` the beginning of its statement. */
  readonly names: Uint8Array<SharedArrayBuffer>;
}

/** What the watchdog is started with. */
export interface WatchdogOptions extends TurnMemory {
  /** Gets a `StatementOwner` for each turn that lasts for `reportAfterMs`. */
  readonly reports: MessagePort;
  readonly reportAfterMs: number;
  /** How long it sleeps between two looks. */
  readonly intervalMs: number;
}

/** What it is told when there is a PostgreSQL. */
export interface WatchedPostgres {
  /** PostgreSQL's memory. */
  readonly memory: SharedArrayBuffer;
  /** Where its `InterruptPending` lies, in bytes, if turns give way; where all of its flags do, if they cannot. */
  readonly giveWay?: number;
  readonly interrupts?: InterruptAddresses;
}

/** Makes the memory of one engine. */
export function allocateTurns(): TurnMemory {
  const words = new Int32Array(new SharedArrayBuffer(Object.keys(TurnWord).length * Int32Array.BYTES_PER_ELEMENT));
  words[TurnWord.stopping] = nobody;
  return { words, names: new Uint8Array(new SharedArrayBuffer(2 * nameBytes)) };
}

/** Takes note of whose turn begins. */
export function nameTurn({ words, names }: TurnMemory, pid: number, application?: Uint8Array, statement?: Uint8Array) {
  words[TurnWord.pid] = pid;
  words[TurnWord.applicationBytes] = keep(names, 0, application);
  words[TurnWord.statementBytes] = keep(names, nameBytes, statement);
}

/** Counts the beginning or the end of a turn. */
export function countTurn({ words }: TurnMemory): void {
  Atomics.add(words, TurnWord.turn, 1);
  if (Atomics.load(words, TurnWord.isAsleep) !== 0) Atomics.notify(words, TurnWord.turn);
}

/** Runs `action`, which must be short and not throw, while no other thread does: no lock is held for longer. */
export function guarded(words: Int32Array<SharedArrayBuffer>, action: () => void): void {
  while (Atomics.compareExchange(words, TurnWord.guard, 0, 1) !== 0);
  try {
    action();
  } finally {
    Atomics.store(words, TurnWord.guard, 0);
  }
}

function keep(names: Uint8Array, at: number, name: Uint8Array | undefined): number {
  if (!name) return 0;
  const kept = name.length > nameBytes ? name.subarray(0, nameBytes) : name;
  names.set(kept, at);
  return kept.length;
}
