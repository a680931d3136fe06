/**
 * A start on a PostgreSQL that is not in this process: server → database → migrations → setup → seed → ready.
 *
 * Owns: the order of the steps there. Does not own: where the server comes from (`native.ts`, `elsewhere.ts`), the start of PGlite (`../open.ts`).
 * Invariant: a database is made where it is missing, and never dropped but by the run whose own it is.
 */
import type { Transport } from "../../engine/listener.ts";
import { UsageError } from "../../errors.ts";
import { nameOf, type ResolvedOptions } from "../../options.ts";
import { DatabaseError } from "../../wire/query-results.ts";
import { ensureDatabase } from "../database.ts";
import { locateMigrations, type OpenContext, type OpenedDevDb, schemaOf, stepper } from "../open.ts";
import { findSetup } from "../setup.ts";
import { type Preparation, prepareOnServer } from "./prepare.ts";
import { RunDatabases } from "./run-databases.ts";
import type { Server } from "./server.ts";
import { rowsOf, withClient } from "./server-sql.ts";
import { statsOf } from "./stats.ts";

/** What a server has instead of resets and snapshots, to follow the name of what was called. */
const withoutStates =
  "is for the engine pglite only. Here each test can have a branch of its own, db.branch(), and branch.reset() makes that anew";

const withoutClock = "is for the engine pglite only: the clock of a real server is that of its machine";

/** Runs a start. As `openDevDb`. `open` has put what it opens on the cleanup stack. */
export async function openOnServer(
  options: ResolvedOptions,
  context: OpenContext,
  open: () => Promise<Server>,
): Promise<OpenedDevDb> {
  const { cleanup, cwd, log, progress, signal, forBranches = false } = context;
  const step = stepper(signal, log);
  const setup = findSetup(options, cwd);
  const migrations = await step("find the migrations", () => locateMigrations(options, cwd, log));
  progress("PostgreSQL starts, or is connected to");
  const server = await step("reach the server", open);
  const { address: named } = server;
  await step("make the database", () => ensureNamed(server, options));
  const preparation: Preparation = { options, migrations, setup, cleanup, cwd, log, progress, signal };
  const databases = await cleanup.open(
    async () => new RunDatabases({ address: named, prepare: (at) => prepareOnServer(at, preparation, true) }),
    (made) => made.close(),
  );
  const { database, applied } = await step("migrate, set up and seed", async () =>
    forBranches
      ? databases.template()
      : { database: named.database, applied: await prepareOnServer(named, preparation, server.isOurs) },
  );
  const address = { ...named, database, schema: schemaOf(migrations) };
  const [version] = await step("select 1", () => rowsOf(named, named.database, "SHOW server_version"));
  return {
    transport: transportOf(server),
    serverVersion: version?.[0]?.split(" ")[0] ?? "",
    sessions: "isolated",
    branches: databases,
    states: undefined,
    withoutStates,
    changeClock: undefined,
    withoutClock,
    address,
    migrationsApplied: applied,
  };
}

/** Makes the database unless it can be connected to. */
async function ensureNamed({ address, adminDatabase }: Server, options: ResolvedOptions): Promise<void> {
  const option = nameOf(options, options.database === undefined ? "engine" : "database");
  try {
    await rowsOf(address, address.database, "SELECT 1");
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    if (error.code !== "3D000")
      throw new UsageError(`${nameOf(options, "engine")}: ${error.message} (${error.code})`, { cause: error });
    await withClient(address, adminDatabase, (sql) => ensureDatabase(sql, address.database, option));
  }
}

/** What there is of a listener: the server listens by itself. */
function transportOf({ address }: Server): Transport {
  return {
    host: address.host,
    port: address.port,
    socketDir: undefined,
    stop: async () => {},
    stats: () => statsOf(address),
  };
}
