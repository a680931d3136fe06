/**
 * Listening for clients of an engine.
 *
 * Owns: where that is done. An engine with a session for each client listens on its own thread; for one with one session for
 * all it is done here, with the queue that says who runs next. Does not own: the door itself (`serve.ts`).
 */
import { SharedQueue } from "@electric-sql/pglite-socket";
import type { Engine } from "../engine/engine.ts";
import type { ListenOptions, Transport } from "../engine/listener.ts";
import { libraryLog, openDoor } from "./serve.ts";

/** Of one COPY; it waits in a temporary file. */
const maxCopyBytes = 16 * 1024 ** 3;

/** Starts listening. Rejects with the system's error (EADDRINUSE …) and leaves nothing open. */
export async function listen(engine: Engine, options: ListenOptions): Promise<Transport> {
  if (engine.listen) return engine.listen(options);
  const log = options.log && libraryLog(options.log);
  const queue = new SharedQueue(engine, {
    transactionIdleTimeout: options.transactionIdleTimeoutMs,
    maxCopyBytes,
    log: (message, ...details) => log?.(`[PGLiteSocketServer] ${message}`, ...details),
  });
  const door = await openDoor({ db: engine, queue, databases: engine.databases }, options);
  const { host, socketDir, password, certificate } = options;
  return {
    host,
    port: door.port,
    socketDir,
    password,
    offersTls: certificate !== undefined,
    stop: () => door.stop(),
    stats: async () => door.stats(),
  };
}
