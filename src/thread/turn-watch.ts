/**
 * The engine thread's side of the watchdog.
 *
 * Owns: starting it, and telling it of the turns of sessions. Does not own: what it does (`watchdog.ts`).
 * Invariant: a turn costs two additions here, and a system call only if the watchdog sleeps.
 */
import { Worker } from "node:worker_threads";
import type { ThreadOptions } from "../engine/thread/protocol.ts";
import {
  countTurn,
  nameTurn,
  TurnWord,
  type WatchdogOptions,
  type WatchedPostgres,
} from "../engine/thread/turn-words.ts";
import { limits } from "../limits.ts";
import type { SessionHost } from "../sessions/host.ts";
import type { SessionOwner } from "../sessions/session-context.ts";

const url = new URL(import.meta.url.endsWith(".ts") ? "./watchdog.ts" : "./watchdog.js", import.meta.url);

// Next to nothing of JavaScript runs there: its heap is kept small.
const resourceLimits = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16, stackSizeMb: 1 };

type OnTurn = NonNullable<SessionHost["scheduler"]["onTurn"]>;
/** What the watchdog is told with. */
type WatchOptions = Pick<ThreadOptions, "turns" | "reports" | "deafAfterMs">;

/** What a watchdog that waits for a PostgreSQL is to be told of it. */
export type Watch = (postgres: WatchedPostgres) => void;

/** A watchdog that has been started. */
interface StartedWatchdog {
  readonly watch: Watch;
  /** Resolves when Node has loaded all that runs there. Rejects with why it could not. */
  readonly isUp: Promise<void>;
}

/** Starts it; it ends with this thread. */
export function startWatchdog({ turns, reports, deafAfterMs }: WatchOptions): StartedWatchdog {
  const workerData: WatchdogOptions = {
    ...turns,
    reports,
    reportAfterMs: deafAfterMs,
    intervalMs: limits.watchMs,
  };
  const worker = new Worker(url, {
    workerData,
    name: "pglite-devdb watchdog",
    resourceLimits,
    transferList: [reports],
  });
  worker.unref();
  const isUp = new Promise<void>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  return { watch: (postgres) => worker.postMessage(postgres), isUp };
}

/** Watches over the turns of a host's sessions until this thread ends; the result is to be called when a turn begins or ends. */
export function watchTurns(host: SessionHost, { turns }: Pick<WatchOptions, "turns">, watch: Watch): OnTurn {
  const { words } = turns;
  words[TurnWord.turn] = host.scheduler.running ? 1 : 0;
  watch({
    memory: host.machine.memory.buffer as SharedArrayBuffer,
    giveWay: host.machine.address("InterruptPending"),
  });
  host.isAskedToGiveWay = () => Atomics.load(words, TurnWord.asked) === Atomics.load(words, TurnWord.turn);
  let known: SessionOwner | undefined;
  return (session) => {
    if (session && session.owner !== known) {
      known = session.owner;
      nameTurn(turns, session.pid, known?.application, known?.statement);
    }
    countTurn(turns);
  };
}
