/**
 * A server that is there already, by its URL.
 *
 * Owns: where it is, and what it lacks. Does not own: reading its URL (`options/server-url.ts`); the server: nothing of it is started or stopped.
 */

import { UsageError } from "../../errors.ts";
import { readServerUrl, type ServerUrl } from "../../options/server-url.ts";
import { longestTimeoutMs } from "../../options/value-kinds.ts";
import { nameOf, type ResolvedOptions } from "../../options.ts";
import type { ClientAddress } from "../address.ts";
import type { CleanupStack } from "../cleanup.ts";
import type { Server } from "./server.ts";
import { rowsOf } from "./server-sql.ts";

/** Whom and what a URL names; `--database` is another database of the same server. Throws a `UsageError`, which never says the password. */
export function addressOf(options: ResolvedOptions): ClientAddress {
  const { host, port, user, password, database, parameters } = urlOf(options);
  return { host, port, user, password, database: options.database ?? database, offersTls: false, parameters };
}

function urlOf(options: ResolvedOptions): ServerUrl {
  return readServerUrl(options.engine, nameOf(options, "engine"), process.env);
}

/** The server of a URL. */
export async function serverElsewhere(options: ResolvedOptions, cleanup: CleanupStack): Promise<Server> {
  const address = addressOf(options);
  // As with a server of our own the process stays until it is closed: no connection is kept, which would do that.
  const staying = setInterval(() => {}, longestTimeoutMs);
  cleanup.defer(() => clearInterval(staying));
  const admin = await adminDatabase(address, options);
  await requireExtensions(address, admin, options);
  return { address, adminDatabase: admin, isOurs: false };
}

/** Throws a `UsageError` for an extension that the server cannot have: nothing is loaded there from here. */
async function requireExtensions(address: ClientAddress, admin: string, options: ResolvedOptions): Promise<void> {
  if (options.extensions.length === 0) return;
  const rows = await rowsOf(address, admin, "SELECT name FROM pg_available_extensions");
  const there = new Set(rows.map(([name]) => name));
  const missing = options.extensions.find((name) => !there.has(name) && !there.has(name.replaceAll("_", "-")));
  if (missing === undefined) return;
  throw new UsageError(
    `${nameOf(options, "extensions")}: the server at ${address.host}:${address.port} has no extension ${missing}; install it there, or leave it out`,
  );
}

/** The first that lets us in of the URL's own database and those that a cluster has from its beginning. */
async function adminDatabase(address: ClientAddress, options: ResolvedOptions): Promise<string> {
  const { database: named } = urlOf(options);
  for (const database of new Set([named, "postgres"])) {
    if (database === address.database) continue;
    const isThere = await rowsOf(address, database, "SELECT 1").then(
      () => true,
      () => false,
    );
    if (isThere) return database;
  }
  return "template1";
}
