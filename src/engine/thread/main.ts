/**
 * The engine thread: boots PGlite on shared memory and runs what comes through the channel, until it is told to close.
 *
 * Owns: the life of PGlite. Does not own: the order of runs, cancelling, timeouts or what to do when this thread dies
 * (`../supervisor.ts`). Invariant: this is a worker of its own; nothing else runs in it, so that it may block.
 */
import { parentPort, workerData } from "node:worker_threads";
import { EngineChannel } from "../channel.ts";
import { importExtensions } from "../extensions.ts";
import type { ThreadMessage, ThreadOptions } from "./protocol.ts";
import { optimizeSooner } from "./tier-up.ts";

/** An engine that has been booted. */
interface Booted {
  readonly ready: Extract<ThreadMessage, { kind: "ready" }>;
  /** Resolves when the channel said `close`. */
  run(): Promise<void>;
  close(): Promise<void>;
}

const options = workerData as ThreadOptions;
const port = parentPort!;
const post = (message: ThreadMessage) => port.postMessage(message);
const channel = new EngineChannel(options.channel, () => post({ kind: "wake" }));

const engine = await boot();
post(engine.ready);
try {
  await engine.run();
} catch (error) {
  throw asError(error);
}
await engine.close();
post({ kind: "closed" });
port.close();

async function boot(): Promise<Booted> {
  optimizeSooner();
  const extensions = await importExtensions(options.extensions);
  if (options.maxSessions === undefined) {
    const { bootShared } = await import("./shared.ts");
    return bootShared(options, extensions, channel);
  }
  const { bootIsolated } = await import("./isolated.ts");
  return bootIsolated(options, options.maxSessions, extensions, channel, post);
}

// Emscripten throws things that are no errors, and the other thread would see an object without a word.
function asError(thrown: unknown): Error {
  if (thrown instanceof Error) return thrown;
  const { message, status } = thrown as { message?: unknown; status?: unknown };
  return new Error(
    `PostgreSQL ended: ${String(message ?? thrown)}${status === undefined ? "" : ` (status ${status})`}`,
  );
}
