/**
 * The engine thread: boots PGlite and serves clients, until it is told to close.
 *
 * Owns: the choice between a session for each client and one for all. Does not own: either (`own-sessions.ts`,
 * `one-session.ts`), serving (`session-server.ts`), what follows the end of this thread (`engine/kept-engine.ts`).
 * Invariant: this is a worker of its own; nothing else runs in it.
 */
import { parentPort, workerData } from "node:worker_threads";
import { memoryBudget } from "../cluster/memory-budget.ts";
import { importExtensions } from "../engine/extensions.ts";
import type { ThreadMessage, ThreadOptions, ThreadRequest } from "../engine/thread/protocol.ts";
import { CodeKeeper } from "../sessions/module/code-keeper.ts";
import { optimizeSooner } from "../sessions/module/tier-up.ts";
import { SnapshotKeeper } from "../sessions/snapshot/snapshot-keeper.ts";
import { pruneWhereWritten } from "../system/cache-pruning.ts";
import { packError, unpackError } from "../system/sent-error.ts";
import { abandonSeparate } from "../system/separate.ts";
import { forgoCache } from "../system/user-cache.ts";
import { SessionServer } from "./session-server.ts";
import { startWatchdog } from "./turn-watch.ts";

const options = workerData as ThreadOptions;
const port = parentPort!;
const post = (message: ThreadMessage) => port.postMessage(message);

if (!options.cache) forgoCache();
const onBootMessage = ({ kind }: ThreadRequest) => {
  if (kind === "abandon") void abandonSeparate();
};
port.on("message", onBootMessage);
try {
  new SessionServer(await open(), port, options.consequence).start();
  port.off("message", onBootMessage);
  pruneWhereWritten();
} catch (error) {
  // One of two may have failed.
  await abandonSeparate();
  // Emscripten throws things that are no errors, and the other thread would see an object without a word.
  throw error instanceof Error ? error : unpackError(packError(error));
}

function describeFull(limitBytes: number): string {
  const limit = `${Math.round(limitBytes / 2 ** 20)} MB`;
  return `warning: the database in memory has reached its limit of ${limit}; statements that would make a table grow fail with 53100: drop or truncate tables, drop snapshots and branches, or start with a larger --memory-limit or with --db DIR`;
}

async function open() {
  memoryBudget.limitBytes = options.memoryLimitBytes;
  memoryBudget.onFull = () => post({ kind: "log", level: "info", text: describeFull(options.memoryLimitBytes) });
  const { watch, isUp } = startWatchdog(options);
  const extensions = await importExtensions(options.extensions);
  const { isolated } = options;
  if (!isolated) {
    const { openOneSession } = await import("./one-session.ts");
    await changeFlags(isUp);
    return openOneSession(options, extensions, post);
  }
  const { bootIsolated } = await import("../engine/thread/isolated.ts");
  const { OwnSessions } = await import("./own-sessions.ts");
  await changeFlags(isUp);
  const { host, code, snapshot } = await bootIsolated(options, isolated, extensions, post);
  const keepers = {
    code: code && new CodeKeeper(code, host),
    snapshot: snapshot && new SnapshotKeeper(snapshot),
  };
  keepers.code?.keepWhenIdle();
  keepers.snapshot?.keepWhenIdle();
  return new OwnSessions(host, options, isolated, keepers, watch);
}

/**
 * Engine: Node's own modules come compiled, and V8 takes that only with the flags that it has been compiled with, which are the
 * process's. What is needed later (`node:cluster` to listen) is loaded before they change, and what another thread is loading.
 */
async function changeFlags(watchdogIsUp: Promise<void>): Promise<void> {
  // The bundler leaves out an import that nothing is taken from.
  for (const name of ["node:cluster", "node:dns", "node:perf_hooks"]) process.getBuiltinModule(name);
  await watchdogIsUp;
  optimizeSooner();
}
