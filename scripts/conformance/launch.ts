/**
 * How each server is started.
 *
 * Owns: the command lines, and where the server then listens. Does not own: what happens to it later (`server.ts`).
 * Invariant: it listens on the loopback interface only, on a port that was free; its data goes with it.
 */
import { join } from "node:path";
import { startRealPostgres } from "../../test/support/real-postgres.ts";
import { ServerProcess } from "../bench/server-process.ts";
import type { Place } from "./connections.ts";

/** The servers that can be started here. */
export const targetNames = ["ours", "stock", "real"] as const;

/** One of them. */
export type TargetName = (typeof targetNames)[number];

/** Where a server listens; the database is the one to connect to at first. */
export type Address = Place;

const root = join(import.meta.dirname, "..", "..");

/** Starts a server. Rejects with its last words. */
export async function launch(
  target: TargetName,
): Promise<{ process: ServerProcess; address: Address; stop: () => Promise<void> }> {
  if (target === "real") {
    const { process, host, port, stop } = await startRealPostgres({ max_prepared_transactions: "10" });
    return { process, address: { host, port, user: "postgres", database: "postgres" }, stop };
  }
  const script = { ours: "dist/cli.js", stock: "scripts/bench/stock-server.ts" }[target];
  const options =
    target === "ours" ? ["start", "--port", "0", "--migrations", "none", "--sessions", "isolated", "-o", "json"] : [];
  const server = new ServerProcess({
    file: process.execPath,
    args: [join(root, script), ...options],
    cwd: root,
    stopSignal: "SIGTERM",
    haltSignal: "SIGKILL",
  });
  const { port } = JSON.parse(await server.readyLine()) as { port: number };
  return {
    process: server,
    address: { host: "127.0.0.1", port, user: "postgres", database: "postgres" },
    stop: () => server.stop(),
  };
}

/** Reads a connection URL. Throws for what is none. */
export function readAddress(url: string): Address {
  const { protocol, hostname, port, username, pathname } = new URL(url);
  if (!/^postgres(ql)?:$/.test(protocol)) throw new Error(`${url} is no postgres:// URL`);
  return {
    host: hostname || "127.0.0.1",
    port: Number(port || 5432),
    user: decodeURIComponent(username) || "postgres",
    database: decodeURIComponent(pathname.slice(1)) || "postgres",
  };
}
