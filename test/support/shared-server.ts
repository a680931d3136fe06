/**
 * The patched library over one PGlite, with this project's queue for clients that share a session.
 *
 * Owns: putting the two together. Does not own: either of them.
 */
import { PGLiteSocketServer, type PGLiteSocketServerOptions, type SocketEngine } from "@electric-sql/pglite-socket";
import { lettingLeave } from "../../src/transport/leaving.ts";
import { createLogin } from "../../src/transport/login.ts";
import type { SharedEngine } from "../../src/transport/shared/engine-runs.ts";
import { SharedQueue, type SharedQueueOptions } from "../../src/transport/shared/shared-queue.ts";

/** As the library's and the queue's; the queue's own have defaults. */
export type SharedServerOptions = Omit<PGLiteSocketServerOptions, "db" | "queue"> &
  Partial<Omit<SharedQueueOptions, "log">> & { db: SocketEngine & SharedEngine };

/** Not started yet. */
export function sharedServer({ maxCopyBytes = 16 * 1024 ** 3, ...options }: SharedServerOptions): PGLiteSocketServer {
  const { db, transactionIdleTimeout = 30_000 } = options;
  const queue = lettingLeave(new SharedQueue(db, { transactionIdleTimeout, maxCopyBytes }));
  return new PGLiteSocketServer({ login: createLogin({ databases: ["postgres"] }), ...options, queue });
}
