/**
 * The engine `postgres`: a native PostgreSQL of the project's, started here.
 *
 * Owns: the order of its start, its settings and port, and the moment that clients have to hang up before its end. Does not own: its process
 * (`postgres-process.ts`), its files (`cluster.ts`), its programs (`programs.ts`).
 */
import { resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { clusterName } from "../../engine/data-directory/data-directory.ts";
import { UsageError } from "../../errors.ts";
import { nameOf, type ResolvedOptions } from "../../options.ts";
import { DatabaseError } from "../../wire/query-results.ts";
import type { ClientAddress } from "../address.ts";
import { databaseOf, ensureUser } from "../database.ts";
import type { OpenContext } from "../open.ts";
import { listenOnPort, probePort } from "../port.ts";
import { settingsOf, takenFromNative } from "../settings.ts";
import { ensureCluster, namedPlace, temporaryPlace } from "./cluster.ts";
import { passwordFileOf } from "./cluster-password.ts";
import { startOnFreePort } from "./free-port.ts";
import { PostgresProcess } from "./postgres-process.ts";
import { findPrograms, hasExtension, type Programs, programUser } from "./programs.ts";
import type { Server } from "./server.ts";
import { rowsOf, withClient } from "./server-sql.ts";

const host = "127.0.0.1";
/** Whom and what every cluster has. */
const everywhere = "postgres";
const wrongPassword = "28P01";
/** For connections of our own: who makes branches, who reads `db.stats()`. */
const spareConnections = 5;
/** How long clients have to hang up by themselves. */
const leavingMs = 100;
const lookAgainMs = 10;
/** What must be there from PostgreSQL's start on, to be of use. */
const preloaded = new Set(["pg_stat_statements", "auto_explain"]);

/** Starts it. Rejects with a `UsageError`, a `DataDirectoryError` or PostgreSQL's own words. */
export async function startNative(
  options: ResolvedOptions,
  { cwd, log, cleanup, signal, onLost }: OpenContext,
): Promise<Server> {
  const option = nameOf(options, "engine");
  const programs = findPrograms(cwd, option);
  const chosen = { ...ownSettings(options, programs), ...settingsOf(options, takenFromNative) };
  const wanted = await probePort({ ...options, host }, log);
  const place =
    options.db === "memory://" ? await temporaryPlace(cleanup) : await namedPlace(resolve(cwd, options.db), cleanup);
  const user = programUser(option, resolve(place.directory, clusterName), [
    programs.root,
    ...(place.isTemporary ? [resolve(place.directory, "..")] : [place.directory]),
  ]);
  // What it writes is not removed before it has ended.
  const { data, password } = await cleanup.open(
    () => ensureCluster(place, programs, user, signal),
    () => {},
  );
  const startAt = async (port: number) => {
    const server = new PostgresProcess({
      program: programs.postgres,
      data,
      temporary: place.isTemporary ? place.directory : undefined,
      user,
      settings: { ...chosen, port: String(port) },
      log,
      onGone: onLost,
    });
    await server.ready(signal).catch(async (error: Error) => {
      await server.close().catch(() => {});
      throw /Address already in use/.test(error.message) ? Object.assign(error, { code: "EADDRINUSE" }) : error;
    });
    return { server, port };
  };
  const start = (port: number) => (port === 0 ? startOnFreePort(host, startAt) : startAt(port));
  const { port } = await cleanup.open(
    () => listenOnPort(wanted, start, options, log),
    async (started) => {
      await letLeave(ownerAt(started.port, password));
      await started.server.close();
    },
  );
  const { user: name, database } = databaseOf(options);
  const owner = ownerAt(port, password);
  const address: ClientAddress = { ...owner, user: name, database };
  await withClient(owner, everywhere, async (sql) => {
    if (name !== everywhere) await ensureUser(sql, name, nameOf(options, "user"), password);
  }).catch((error: unknown) => {
    if (!(error instanceof DatabaseError) || error.code !== wrongPassword) throw error;
    throw new UsageError(
      `${option}: ${error.message}: the password of the user ${everywhere} was changed; write the new password to ${passwordFileOf(data)}`,
      { cause: error },
    );
  });
  return { address, adminDatabase: everywhere, isOurs: true };
}

/** The superuser that every cluster has. */
function ownerAt(port: number, password: string): ClientAddress {
  return { host, port, user: everywhere, password, database: everywhere, offersTls: false };
}

function ownSettings(options: ResolvedOptions, programs: Programs): Record<string, string> {
  const isKept = options.db !== "memory://";
  const libraries = options.extensions.filter((name) => {
    const kind = hasExtension(programs, name);
    if (kind) return preloaded.has(name) || kind === "library";
    throw new UsageError(
      `${nameOf(options, "extensions")}: the PostgreSQL of ${programs.root} has no extension ${name}; a server that has it is named by its URL`,
    );
  });
  return {
    listen_addresses: host,
    unix_socket_directories: "",
    max_connections: String(options.maxConnections + spareConnections),
    superuser_reserved_connections: "0",
    timezone: "UTC",
    log_timezone: "UTC",
    fsync: options.fsync,
    ...(isKept ? {} : { full_page_writes: "off", synchronous_commit: "off" }),
    ...(libraries.length > 0 ? { shared_preload_libraries: libraries.join(",") } : {}),
  };
}

/** Clients that are about to hang up do so before they are told that the server ends. */
async function letLeave(owner: ClientAddress): Promise<void> {
  const deadline = performance.now() + leavingMs;
  const others =
    "SELECT 1 FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() LIMIT 1";
  while (performance.now() < deadline) {
    const rows = await rowsOf(owner, everywhere, others).catch(() => []);
    if (rows.length === 0) return;
    await delay(lookAgainMs);
  }
}
