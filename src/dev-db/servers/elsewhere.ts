/**
 * A server that is there already, by its URL.
 *
 * Owns: reading the URL. Does not own: the server: nothing of it is started or stopped.
 */

import { longestTimeoutMs } from "../../options/value-kinds.ts";
import type { ResolvedOptions } from "../../options.ts";
import type { ClientAddress } from "../address.ts";
import type { CleanupStack } from "../cleanup.ts";
import type { Server } from "./server.ts";
import { rowsOf } from "./server-sql.ts";

const defaultPort = 5432;

/** Whom and what a URL names; `--database` is another database of the same server. */
export function addressOf(options: Pick<ResolvedOptions, "engine" | "database">): ClientAddress {
  const url = new URL(options.engine);
  const user = decodeURIComponent(url.username) || "postgres";
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: Number(url.port || defaultPort),
    user,
    password: decodeURIComponent(url.password),
    database: options.database ?? (decodeURIComponent(url.pathname.slice(1)) || user),
    offersTls: false,
    parameters: url.search.slice(1),
  };
}

/** The server of a URL. */
export async function serverElsewhere(options: ResolvedOptions, cleanup: CleanupStack): Promise<Server> {
  const address = addressOf(options);
  // As with a server of our own the process stays until it is closed: no connection is kept, which would do that.
  const staying = setInterval(() => {}, longestTimeoutMs);
  cleanup.defer(() => clearInterval(staying));
  return { address, adminDatabase: await adminDatabase(address, options) };
}

/** The first that lets us in of the URL's own database and those that a cluster has from its beginning. */
async function adminDatabase(address: ClientAddress, { engine }: ResolvedOptions): Promise<string> {
  const named = decodeURIComponent(new URL(engine).pathname.slice(1));
  for (const database of new Set([named, "postgres"])) {
    if (database === "" || database === address.database) continue;
    const isThere = await rowsOf(address, database, "SELECT 1").then(
      () => true,
      () => false,
    );
    if (isThere) return database;
  }
  return "template1";
}
