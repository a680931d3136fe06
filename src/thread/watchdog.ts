/**
 * The watchdog: a thread that looks at a turn that lasts.
 *
 * Owns: how long a turn may last before it is asked to let the others run; where turns cannot give way, because all clients share
 * one session, ending what runs for longer than PostgreSQL's timeouts say, or for a listener that is being stopped. Does not
 * own: how a turn gives way (`sessions/waiting.ts`).
 * Invariant: it sleeps while nobody has a turn, and it waits for nobody: neither the engine thread, which is busy when it
 * is needed, nor the main thread, which in the library is the user's.
 */
import { parentPort, workerData } from "node:worker_threads";
import type { StatementOwner } from "../engine/engine.ts";
import {
  guarded,
  isForStopped,
  nameBytes,
  TurnWord,
  type WatchdogOptions,
  type WatchedPostgres,
} from "../engine/thread/turn-words.ts";
import { Interrupts, Timeout } from "../sessions/interrupts.ts";

type TurnWordName = keyof typeof TurnWord;

const { words, names, intervalMs, reports, reportAfterMs } = workerData as WatchdogOptions;
parentPort!.postMessage("up");
const watched = await new Promise<WatchedPostgres>((resolve) => parentPort!.once("message", resolve));
const pending = watched.giveWay === undefined ? undefined : new Int32Array(watched.memory, watched.giveWay, 1);
const interrupts = watched.interrupts && new Interrupts(watched.memory, watched.interrupts);

let seen = Atomics.load(words, TurnWord.turn);
let since = performance.now();
let isReported = false;
for (;;) {
  Atomics.wait(words, TurnWord.asked, Atomics.load(words, TurnWord.asked), intervalMs);
  const turn = Atomics.load(words, TurnWord.turn);
  const isTurn = turn % 2 !== 0;
  if (isTurn && interrupts) endOverdue(turn, interrupts);
  if (turn !== seen) {
    seen = turn;
    since = performance.now();
    isReported = false;
  } else if (!isTurn) {
    Atomics.store(words, TurnWord.isAsleep, 1);
    // It is looked at after this, so that a turn that begins now is not slept through.
    Atomics.wait(words, TurnWord.turn, turn);
    Atomics.store(words, TurnWord.isAsleep, 0);
  } else {
    if (pending) askToGiveWay(turn, pending);
    if (!isReported && performance.now() - since > reportAfterMs) report();
  }
}

function askToGiveWay(turn: number, flag: Int32Array): void {
  Atomics.store(words, TurnWord.asked, turn);
  // What CHECK_FOR_INTERRUPTS looks at (miscadmin.h).
  Atomics.store(flag, 0, 1);
}

// PostgreSQL would be told by SIGALRM, but has no clock of its own here. A cancel is repeated while the turn lasts, as one
// that comes while PostgreSQL still reads the statement is ignored.
function endOverdue(turn: number, flags: Interrupts): void {
  guarded(words, () => {
    if (Atomics.load(words, TurnWord.turn) !== turn) return;
    for (const timeout of [Timeout.lock, Timeout.statement]) if (flags.isOver(timeout)) flags.expire(timeout);
    const isTransactionOver = flags.isOver(Timeout.transaction);
    if (isTransactionOver) Atomics.store(words, TurnWord.transactionOver, turn);
    if (isTransactionOver || isForStopped(words) || Atomics.load(words, TurnWord.cancelled) === turn)
      flags.cancelQuery();
  });
}

// Who keeps others waiting for so long does not write to what is read here.
function report(): void {
  isReported = true;
  const text = (from: number, length: TurnWordName) =>
    Buffer.from(names.subarray(from, from + Atomics.load(words, TurnWord[length])))
      .toString("utf8")
      .replace(/\0.*/s, "");
  const owner: StatementOwner = {
    processId: Atomics.load(words, TurnWord.pid),
    applicationName: text(0, "applicationBytes"),
    statement: text(nameBytes, "statementBytes"),
  };
  reports.postMessage(owner);
}
