/**
 * The watchdog: a thread that looks at a turn that lasts.
 *
 * Owns: how long a turn may last before it is asked to let the others run. Does not own: how a turn gives way (`sessions/waiting.ts`). Where all
 * clients share one session it never hears of a PostgreSQL, and waits.
 * Invariant: it sleeps while nobody has a turn, and it waits for nobody: neither the engine thread, which is busy when it
 * is needed, nor the main thread, which in the library is the user's.
 */
import { parentPort, workerData } from "node:worker_threads";
import type { StatementOwner } from "../engine/engine.ts";
import { nameBytes, TurnWord, type WatchdogOptions, type WatchedPostgres } from "../engine/thread/turn-words.ts";

type TurnWordName = keyof typeof TurnWord;

const { words, names, intervalMs, reports, reportAfterMs } = workerData as WatchdogOptions;
parentPort!.postMessage("up");
const watched = await new Promise<WatchedPostgres>((resolve) => parentPort!.once("message", resolve));
const pending = new Int32Array(watched.memory, watched.giveWay, 1);

let seen = Atomics.load(words, TurnWord.turn);
let since = performance.now();
let isReported = false;
for (;;) {
  Atomics.wait(words, TurnWord.asked, Atomics.load(words, TurnWord.asked), intervalMs);
  const turn = Atomics.load(words, TurnWord.turn);
  const isTurn = turn % 2 !== 0;
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
    askToGiveWay(turn, pending);
    if (!isReported && performance.now() - since > reportAfterMs) report();
  }
}

function askToGiveWay(turn: number, flag: Int32Array): void {
  Atomics.store(words, TurnWord.asked, turn);
  // What CHECK_FOR_INTERRUPTS looks at (miscadmin.h).
  Atomics.store(flag, 0, 1);
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
