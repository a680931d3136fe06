/**
 * The server processes of `pglite-devdb repro`.
 *
 * Owns: what such a process does. Does not own: starting and ending it (`trace/repro/server-process.ts`).
 * Invariant: it ends when its parent does; a Ctrl-C in the terminal is the parent's.
 */
import { UsageError } from "../errors.ts";
import { startDevDb } from "../index.ts";
import { startStockServer } from "../trace/repro/stock-server.ts";
import type { ReproTarget } from "../trace/repro.ts";

/** Serves one of the two libraries until the parent is gone. Never resolves. */
export async function serveForRepro(target: ReproTarget): Promise<never> {
  if (!process.send) throw new UsageError("repro: --serve is for the processes that repro itself starts");
  process.on("disconnect", () => process.exit());
  for (const signal of ["SIGINT", "SIGHUP"] as const) process.on(signal, () => {});
  const port =
    target === "stock"
      ? await startStockServer()
      : (await startDevDb({ port: 0, migrations: "none", sessions: "shared" })).port;
  process.send({ port });
  return new Promise(() => {});
}
