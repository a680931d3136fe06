/**
 * The engine thread of this process that was booted last, for tests that end it.
 *
 * To be imported before the engine is booted. Invariant: whoever boots one notices nothing, so that this can stay for the next file of the process.
 */
import { EngineWorker } from "../../src/engine/engine-worker.ts";

let last: EngineWorker | undefined;
const { boot } = EngineWorker;
EngineWorker.boot = async (...parameters) => {
  last = await boot.apply(EngineWorker, parameters);
  return last;
};

/** Throws where none was booted. */
export function lastEngineThread(): EngineWorker {
  if (!last) throw new Error("no engine was booted since this was imported");
  return last;
}
