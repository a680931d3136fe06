/**
 * The watchdog: a thread that asks a turn that lasts to let the others run.
 *
 * Owns: how long a turn may last before it is asked. Does not own: how it gives way (`engine/thread/sessions/waiting.ts`).
 * Invariant: it sleeps while nobody has a turn, and it waits for nobody: neither the engine thread, which is busy when it
 * is needed, nor the main thread, which in the library is the user's.
 */
import { workerData } from "node:worker_threads";
import type { StatementOwner } from "../engine/engine.ts";
import { nameBytes, TurnWord, type WatchdogOptions } from "./turn-words.ts";

type TurnWordName = keyof typeof TurnWord;

const { words, names, memory, interruptPending, intervalMs, reports, deafAfterMs } = workerData as WatchdogOptions;
const flags = new Int32Array(memory, interruptPending, 1);

let seen = Atomics.load(words, TurnWord.turn);
let since = performance.now();
let isReported = false;
for (;;) {
  Atomics.wait(words, TurnWord.asked, Atomics.load(words, TurnWord.asked), intervalMs);
  const turn = Atomics.load(words, TurnWord.turn);
  if (turn !== seen) {
    seen = turn;
    since = performance.now();
    isReported = false;
  } else if (turn % 2 === 0) {
    Atomics.store(words, TurnWord.isAsleep, 1);
    // It is looked at after this, so that a turn that begins now is not slept through.
    Atomics.wait(words, TurnWord.turn, turn);
    Atomics.store(words, TurnWord.isAsleep, 0);
  } else {
    Atomics.store(words, TurnWord.asked, turn);
    // What CHECK_FOR_INTERRUPTS looks at (miscadmin.h).
    Atomics.store(flags, 0, 1);
    if (!isReported && performance.now() - since > deafAfterMs) report();
  }
}

// Whoever is asked for so long without giving way does not write to what is read here.
function report(): void {
  isReported = true;
  const text = (from: number, length: TurnWordName) =>
    Buffer.from(names.subarray(from, from + Atomics.load(words, TurnWord[length]))).toString("utf8");
  const owner: StatementOwner = {
    processId: Atomics.load(words, TurnWord.pid),
    applicationName: text(0, "applicationBytes"),
    statement: text(nameBytes, "statementBytes"),
  };
  reports.postMessage(owner);
}
