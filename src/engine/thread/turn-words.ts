/**
 * The words by which the engine thread, its watchdog and the main thread understand each other while a turn lasts.
 *
 * Owns: their places and meanings. Does not own: any side (`../../thread/`, `../engine-worker.ts`).
 */
import type { MessagePort } from "node:worker_threads";

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
} as const;

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
  /** Where its `InterruptPending` lies, in bytes. */
  readonly giveWay: number;
}

/** Makes the memory of one engine. */
export function allocateTurns(): TurnMemory {
  const words = new Int32Array(new SharedArrayBuffer(Object.keys(TurnWord).length * Int32Array.BYTES_PER_ELEMENT));
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

function keep(names: Uint8Array, at: number, name: Uint8Array | undefined): number {
  if (!name) return 0;
  const kept = name.length > nameBytes ? name.subarray(0, nameBytes) : name;
  names.set(kept, at);
  return kept.length;
}
