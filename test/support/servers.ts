/**
 * The servers under test: the stock library and the patched one, over one kind of engine, on port 0.
 *
 * Owns: starting and stopping them. Does not own: what a test does with them.
 * Invariant: everything started here is stopped by its `stop`, also when the other parts fail.
 */
import type { PGlite } from "@electric-sql/pglite";
import { PGLiteSocketServer as PatchedServer, type PGLiteSocketServerOptions } from "@electric-sql/pglite-socket";
import { PGLiteSocketServer as StockServer } from "pglite-socket-stock";
import { describe } from "vitest";
import { createEngine } from "./engines.ts";

/** Which library serves: `TARGETS=stock,ours` (both by default) selects for tests that run on both. */
export type Target = "stock" | "ours";

/** The targets to test, from the environment. */
export function targets(): Target[] {
  const chosen = (process.env.TARGETS ?? "stock,ours").split(",");
  return (["stock", "ours"] as const).filter((target) => chosen.includes(target));
}

/** Registers tests for each target, those of the stock library for `npm run test:long` only; `%s` in the name stands for it. */
export function describeTargets(name: string, register: (target: Target) => void): void {
  for (const target of targets()) {
    describe(name.replace("%s", target), target === "stock" ? { tags: "long" } : {}, () => register(target));
  }
}

/** A listening server and its database. */
export interface TestServer {
  readonly port: number;
  readonly host: string;
  readonly db: PGlite;
  readonly server: PatchedServer | StockServer;
  /** Stops the server and, where it was booted here, the database. */
  stop(): Promise<void>;
}

/** What `startServer` takes beside the library's options; `db` is booted when absent. */
export type TestServerOptions = Partial<Omit<PGLiteSocketServerOptions, "db" | "queue">> & {
  db?: PGlite;
  /** Leaves the connection limit to the library, instead of setting 100 for both. */
  ownConnectionLimit?: boolean;
};

/** Starts a server on a free port. */
export async function startServer(target: Target, options: TestServerOptions = {}): Promise<TestServer> {
  const { ownConnectionLimit, ...libraryOptions } = options;
  const db = options.db ?? (await createEngine());
  const settings = { port: 0, ...(ownConnectionLimit ? {} : { maxConnections: 100 }), ...libraryOptions, db };
  const server = target === "ours" ? new PatchedServer(settings) : new StockServer(settings);
  await server.start();
  const [host, port] = server.getServerConn().split(":");
  return {
    host: host!,
    port: Number(port),
    db,
    server,
    stop: async () => {
      await server.stop();
      if (!options.db) await db.close();
    },
  };
}
