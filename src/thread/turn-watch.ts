/**
 * The engine thread's side of the watchdog.
 *
 * Owns: starting it, and telling it of turns. Does not own: what it does (`watchdog.ts`).
 * Invariant: a turn costs two additions here, and a system call only if the watchdog sleeps.
 */
import { Worker } from "node:worker_threads";
import { limits } from "../engine/thread/limits.ts";
import type { SessionHost } from "../engine/thread/sessions/host.ts";
import type { SessionOwner } from "../engine/thread/sessions/session-context.ts";
import { nameBytes, TurnWord, type WatchdogOptions } from "./turn-words.ts";

const url = new URL(import.meta.url.endsWith(".ts") ? "./watchdog.ts" : "./watchdog.js", import.meta.url);

// Next to nothing of JavaScript runs there: its heap is kept small.
const resourceLimits = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16, stackSizeMb: 1 };

type OnTurn = NonNullable<SessionHost["scheduler"]["onTurn"]>;

/** What the watchdog is told with. */
type WatchOptions = Pick<WatchdogOptions, "reports" | "deafAfterMs">;

/** Watches over the turns of a host's sessions until this thread ends; the result is to be called when a turn begins or ends. */
export function watchTurns(host: SessionHost, { reports, deafAfterMs }: WatchOptions): OnTurn {
  const words = new Int32Array(new SharedArrayBuffer(Object.keys(TurnWord).length * Int32Array.BYTES_PER_ELEMENT));
  const names = new Uint8Array(new SharedArrayBuffer(2 * nameBytes));
  words[TurnWord.turn] = host.scheduler.running ? 1 : 0;
  const workerData: WatchdogOptions = {
    words,
    names,
    reports,
    deafAfterMs,
    memory: host.machine.memory.buffer as SharedArrayBuffer,
    interruptPending: host.machine.address("InterruptPending"),
    intervalMs: limits.watchMs,
  };
  new Worker(url, { workerData, name: "pglite-devdb watchdog", resourceLimits, transferList: [reports] }).unref();
  host.isAskedToGiveWay = () => Atomics.load(words, TurnWord.asked) === Atomics.load(words, TurnWord.turn);
  let known: SessionOwner | undefined;
  return (session) => {
    if (session && session.owner !== known) {
      known = session.owner;
      words[TurnWord.pid] = session.pid;
      words[TurnWord.applicationBytes] = keep(names, 0, known?.application);
      words[TurnWord.statementBytes] = keep(names, nameBytes, known?.statement);
    }
    Atomics.add(words, TurnWord.turn, 1);
    if (Atomics.load(words, TurnWord.isAsleep) !== 0) Atomics.notify(words, TurnWord.turn);
  };
}

function keep(names: Uint8Array, at: number, name: Uint8Array | undefined): number {
  if (!name) return 0;
  const kept = name.length > nameBytes ? name.subarray(0, nameBytes) : name;
  names.set(kept, at);
  return kept.length;
}
