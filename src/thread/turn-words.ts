/**
 * The words by which the engine thread and its watchdog understand each other.
 *
 * Owns: their places and meanings. Does not own: either side (`turn-watch.ts`, `watchdog.ts`).
 */
import type { MessagePort } from "node:worker_threads";

/** Places in an Int32Array that both see. */
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

/** What the watchdog is started with. */
export interface WatchdogOptions {
  readonly words: Int32Array<SharedArrayBuffer>;
  /** Whose turn it is: its application_name, and behind `nameBytes` the beginning of its statement. */
  readonly names: Uint8Array<SharedArrayBuffer>;
  /** Gets a `StatementOwner` for each turn that does not give way for `deafAfterMs`. */
  readonly reports: MessagePort;
  readonly deafAfterMs: number;
  /** PostgreSQL's memory, and where its `InterruptPending` lies, in bytes. */
  readonly memory: SharedArrayBuffer;
  readonly interruptPending: number;
  /** How long it sleeps between two looks. */
  readonly intervalMs: number;
}
