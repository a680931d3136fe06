/**
 * The entry of the engine thread: what all of the rest is loaded with.
 *
 * Owns: whether Node keeps in the user's cache what V8 makes of the rest. Does not own: the rest (`main.ts`).
 * Invariant: as little as possible is loaded before; what the thread is sent meanwhile waits for its reader.
 */
import { workerData } from "node:worker_threads";
import type { ThreadOptions } from "../engine/thread/protocol.ts";
import { useScriptCache } from "../engine/thread/script-cache.ts";

if ((workerData as ThreadOptions).cache) useScriptCache();
await import("./main.ts");
