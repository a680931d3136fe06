/**
 * Loaded into a server under test: lets its garbage be collected, and says what is left, when a signal asks for it.
 *
 * Owns: nothing of the server's; it only answers SIGUSR2, with a line per thread in the file that HELD_MEMORY_FILE names.
 * Invariant: a thread answers at the next turn of its event loop, which for the engine is the next thing a client asks for.
 */
import { appendFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { BroadcastChannel, isMainThread, threadId } from "node:worker_threads";

const file = process.env.HELD_MEMORY_FILE;
if (file) {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const channel = new BroadcastChannel("collect garbage");
  const answer = (): void => {
    collect();
    collect();
    const { heapUsed, external } = process.memoryUsage();
    appendFileSync(file, `${threadId} ${heapUsed + external}\n`);
  };
  channel.onmessage = answer;
  channel.unref();
  if (isMainThread) {
    process.on("SIGUSR2", () => {
      answer();
      channel.postMessage("collect");
    });
  }
}
