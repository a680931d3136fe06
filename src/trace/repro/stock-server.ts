/**
 * A server of the stock socket library, as npm has it, on a PGlite in memory.
 *
 * Owns: starting it. Does not own: ending it; it ends with its process.
 * Invariant: the library is loaded only when it is asked for; nothing else in the project uses it.
 */
import { openBarePglite } from "../../engine/bare-pglite.ts";

/** The version of the library, which is the one that the patch is for. */
export const stockVersion = "0.2.17";

/** Starts it on a free port of 127.0.0.1 and resolves with the port. */
export async function startStockServer(): Promise<number> {
  const [{ PGLiteSocketServer }, db] = await Promise.all([import("pglite-socket-stock"), openBarePglite()]);
  // Its default of one connection would refuse all clients but one.
  const server = new PGLiteSocketServer({ db, host: "127.0.0.1", port: 0, maxConnections: 100 });
  await server.start();
  return Number(server.getServerConn().split(":").at(-1));
}
