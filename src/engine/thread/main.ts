/**
 * The engine thread: boots PGlite on shared memory and runs what comes through the channel, until it is told to close.
 *
 * Owns: the life of PGlite. Does not own: the order of runs, cancelling, timeouts or what to do when this thread dies
 * (`../supervisor.ts`). Invariant: this is a worker of its own; nothing else runs in it, so that it may block.
 */
import { parentPort, workerData } from "node:worker_threads";
import { EngineChannel, RecordKind } from "../channel.ts";
import { openDirectoryFiles } from "../directory-files.ts";
import { importExtensions } from "../extensions.ts";
import { Backend } from "./backend.ts";
import { findTimeouts, type InterruptAddresses, Interrupts } from "./interrupts.ts";
import type { ThreadMessage, ThreadOptions } from "./protocol.ts";
import { shareMemories } from "./shared-memory.ts";

const options = workerData as ThreadOptions;
const port = parentPort!;
const post = (message: ThreadMessage) => port.postMessage(message);

const channel = new EngineChannel(options.channel, () => post({ kind: "wake" }));
shareMemories();
const { PGlite } = await import("@electric-sql/pglite");
const pglite = await PGlite.create({
  ...files(),
  extensions: await importExtensions(options.extensions),
});
const memory: ArrayBuffer | SharedArrayBuffer = pglite.Module.HEAPU8.buffer;
if (!(memory instanceof SharedArrayBuffer)) throw new Error("PGlite's memory is not shared");
const addresses = interruptAddresses();
const backend = new Backend(pglite.Module, channel, new Interrupts(memory, addresses));

refuseCommands();
post({ kind: "ready", memory, addresses });

try {
  runUntilClosed();
} catch (error) {
  throw asError(error);
}
await pglite.close();
post({ kind: "closed" });
port.close();

function runUntilClosed(): void {
  for (;;) {
    const record = channel.next();
    const { kind, run } = record;
    channel.take(record);
    if (kind === RecordKind.close) return;
    if (kind === RecordKind.run) backend.run(run);
    if (kind === RecordKind.startup) backend.startup(run);
  }
}

// Engine: PGlite throws for a command of the system (COPY … TO PROGRAM), and a throw ends PostgreSQL for everyone. No
// pipe at all is an error of the statement.
function refuseCommands(): void {
  pglite.Module._pgl_set_popen_fn(pglite.Module.addFunction(() => 0, "ppp"));
}

// Emscripten throws things that are no errors, and the other thread would see an object without a word.
function asError(thrown: unknown): Error {
  if (thrown instanceof Error) return thrown;
  const { message, status } = thrown as { message?: unknown; status?: unknown };
  return new Error(
    `PostgreSQL ended: ${String(message ?? thrown)}${status === undefined ? "" : ` (status ${status})`}`,
  );
}

function files() {
  const { dataDir, fsync } = options;
  return dataDir === "memory://" ? { dataDir } : openDirectoryFiles({ path: dataDir, fsync });
}

function interruptAddresses(): InterruptAddresses {
  const globals = pglite.Module as unknown as Record<string, unknown>;
  const address = (name: string): number => {
    const value = globals[name];
    if (typeof value === "number") return value;
    throw new Error(`this PGlite does not export the address of PostgreSQL's ${name.slice(1)}`);
  };
  return {
    interruptPending: address("_InterruptPending"),
    queryCancelPending: address("_QueryCancelPending"),
    myLatch: address("_MyLatch"),
    allTimeouts: findTimeouts(memory),
  };
}
