/**
 * The engine thread: boots PGlite and serves what it was started for, until it is told to close.
 *
 * Owns: the choice between a session for each client (`session-server.ts`) and one for all. Does not own: either, or what
 * follows the end of this thread (`engine/keeper.ts`). Invariant: this is a worker of its own; nothing else runs in it.
 */
import { parentPort, workerData } from "node:worker_threads";
import { EngineChannel } from "../engine/channel.ts";
import { importExtensions } from "../engine/extensions.ts";
import { packError, unpackError } from "../engine/sent-error.ts";
import type { ThreadMessage, ThreadOptions } from "../engine/thread/protocol.ts";
import { optimizeSooner } from "../engine/thread/tier-up.ts";

const options = workerData as ThreadOptions;
const port = parentPort!;
const post = (message: ThreadMessage) => port.postMessage(message);

optimizeSooner();
if (options.isolated) await serveSessions(options.isolated);
else await serveShared();

async function serveSessions(isolated: NonNullable<ThreadOptions["isolated"]>): Promise<void> {
  const { bootIsolated } = await import("../engine/thread/isolated.ts");
  const { SessionServer } = await import("./session-server.ts");
  const extensions = await importExtensions(options.extensions);
  const host = await bootIsolated(options, isolated, extensions, post);
  new SessionServer(host, port, isolated).start();
}

async function serveShared(): Promise<void> {
  const channel = new EngineChannel(options.channel!, () => post({ kind: "wake" }));
  const { bootShared } = await import("../engine/thread/shared.ts");
  const engine = await bootShared(options, await importExtensions(options.extensions), channel);
  post(engine.ready);
  try {
    await engine.run();
  } catch (error) {
    // Emscripten throws things that are no errors, and the other thread would see an object without a word.
    throw unpackError(packError(error));
  }
  await engine.close();
  post({ kind: "closed" });
  port.close();
}
