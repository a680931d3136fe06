/**
 * One start, step by step: engine → migrations → setup → seed → listen → `select 1` → ready.
 *
 * Owns: the order of the steps, and what is checked before anything is opened. Does not own: when a start begins or
 * ends, who shares it (`dev-db.ts`), or how a step works.
 * Invariant: everything opened is on the cleanup stack before it is opened; the server never listens on a database
 * that is not migrated and seeded; the signal is looked at after every step.
 */
import { statSync } from "node:fs";
import { resolve } from "node:path";
import type { Branches } from "../engine/branches.ts";
import type { ChangeClock } from "../engine/clock.ts";
import { prepareDataDirectory } from "../engine/data-directory/data-directory.ts";
import { lockDirectory } from "../engine/data-directory/directory-lock.ts";
import type { OwnedDirectory } from "../engine/data-directory/directory-ownership.ts";
import type { Engine } from "../engine/engine.ts";
import { findExtensions } from "../engine/extensions.ts";
import { type EngineOptions, openEngine } from "../engine/kept-engine.ts";
import type { ListenOptions, Transport } from "../engine/listener.ts";
import { describeStart } from "../engine/slow-start.ts";
import type { States } from "../engine/states.ts";
import { UsageError } from "../errors.ts";
import { applyMigrations, findMigrations, type MigrationSource } from "../migrate/index.ts";
import { transactionIdleDefaultsMs } from "../options/value-kinds.ts";
import { type Log, nameOf, type Progress, type ResolvedOptions, type Sessions } from "../options.ts";
import { type Access, prepareAccess } from "./access.ts";
import { type ClientAddress, clientAddress } from "./address.ts";
import type { CleanupStack } from "./cleanup.ts";
import { databaseOf, prepareDatabase } from "./database.ts";
import { GitStart } from "./git-databases.ts";
import { collectLeftovers } from "./leftovers.ts";
import { openEngineAt } from "./open-engine.ts";
import { listenOnPort, probePort } from "./port.ts";
import { awaitReady } from "./readiness.ts";
import { settingsOf } from "./settings.ts";
import { findSetup, type Reach, runSetup } from "./setup.ts";
import { SetupListener } from "./setup-listener.ts";
import { makeTrace, traceOptions } from "./trace.ts";

/** What resets, snapshots and the clock need, to follow the name of what was called. */
const needsSessions = "needs a PostgreSQL session for each connection, and here all connections share one";

/** What a start needs beside the options. */
export interface OpenContext {
  /** Relative paths are relative to this directory. */
  cwd: string;
  log: Log;
  progress: Progress;
  /** Ends the start as soon as the running step lets it. */
  signal: AbortSignal;
  cleanup: CleanupStack;
  /** Is told when the database has ended by itself: its data directory is not its own any more, or its process is gone. */
  onLost: (lost: Error) => void;
  /** Whether nobody is given the database itself, but only branches of it. */
  forBranches?: boolean;
  /** Whether what there is when the server is ready is kept. */
  keepsStates?: boolean;
  parts?: OpenParts;
}

/** What stands behind the two ends of the path of the bytes. */
export interface OpenParts {
  openEngine(options: EngineOptions): Promise<Engine>;
  listen(engine: Engine, options: ListenOptions): Promise<Transport>;
}

const realParts: OpenParts = { openEngine, listen: (engine, options) => engine.listen(options) };

/** A server that is ready. */
export interface OpenedDevDb {
  transport: Transport;
  serverVersion: string;
  sessions: Sessions;
  /** Absent with shared sessions. */
  branches: Branches | undefined;
  /** Absent with shared sessions. */
  states: States | undefined;
  /** Why there are none, behind the name of what was called. */
  withoutStates: string;
  /** Absent with shared sessions. */
  changeClock: ChangeClock | undefined;
  /** Why there is none, in the same way. */
  withoutClock: string;
  address: ClientAddress;
  /** The names of the migrations that this start applied. */
  migrationsApplied: readonly string[];
}

/**
 * Runs a start. Rejects with the first error, or with the signal's reason as soon as it is aborted, even if a step
 * goes on; then closing the cleanup stack is up to the caller.
 */
export async function openDevDb(options: ResolvedOptions, context: OpenContext): Promise<OpenedDevDb> {
  const { cleanup, cwd, keepsStates, log, onLost, progress, signal, parts = realParts } = context;
  const step = stepper(signal, log);
  const setup = findSetup(options, cwd);
  const socket = findSocketDirectory(options, cwd);
  const migrations = await step("find the migrations", () => locateMigrations(options, cwd, log));
  const extensions = locateExtensions(options, cwd, log);
  const settings = settingsOf(options);
  const access = await step("prepare the access", () => prepareAccess(options, cwd, cleanup));
  makeTrace(options, cwd);
  const git = await step("find the checkout", () => GitStart.find(options, cwd, log));
  const port = await step("probe the port", () => probePort(options, log));
  const directory = await step("lock the data directory", () => lockDataDirectory(options, cwd, cleanup, log));
  const perGitBranch = await step("find the main branch", async () => git?.settle());
  const addressFor = addressesOf(options, access, migrations);
  const forSetup = new SetupListener(log);
  const prepare = async (fresh: Engine) => {
    await prepareDatabase(fresh, options);
    await git?.enter(fresh);
    const { applied } = await applyMigrations(fresh, migrations, log, progress);
    const listenAlone = () => parts.listen(fresh, { ...listenOptions(options, access, 0, log), host: "127.0.0.1" });
    const reach: Reach = (name, use) => forSetup.use(name, listenAlone, (at) => use(addressFor(at)));
    await runSetup(fresh, setup, { reach, cleanup, cwd, log, progress });
    return applied;
  };
  progress(describeStart(options.db === "memory://" ? options.db : resolve(cwd, options.db)));
  const engine = await step("open the engine", () =>
    cleanup.open(
      () =>
        openEngineAt(
          options,
          cwd,
          { extensions, settings, log, restore: prepare, perGitBranch, ...(directory ? { directory } : {}) },
          parts.openEngine,
          signal,
        ),
      (opened) => opened.close(),
    ),
  );
  cleanup.defer(() => forSetup.close());
  // Behind the engine, which tells the clients first.
  directory?.onLost(onLost);
  if (directory && engine.states)
    await step("collect what is left of copies", () => collectLeftovers(engine, resolve(cwd, options.db), log));
  await step("collect databases of git branches", async () => git?.collect(engine));
  const migrationsApplied = await step("migrate, set up and seed", () => prepare(engine));

  // In memory that is a matter of milliseconds, for which clients can wait.
  if (directory && keepsStates)
    await step("keep the state", async () => engine.states?.begin(databaseOf(options).database));

  progress("the server begins to listen");
  const trace = traceOptions(options, cwd, engine);
  const listenAt = (at: number) =>
    parts.listen(engine, { ...listenOptions(options, access, at, log), ...socket, ...trace });
  const transport = await step("listen", () =>
    cleanup.open(
      () => listenOnPort(port, listenAt, options, log),
      (listening) => listening.stop(),
    ),
  );
  const address = addressFor(transport);
  // Whoever clients log in as may be anybody.
  await step("select 1", () => awaitReady({ ...address, user: "postgres" }, signal));
  const { serverVersion, sessions, branches, states, changeClock } = engine;
  const without = { withoutStates: needsSessions, withoutClock: needsSessions };
  return { transport, serverVersion, sessions, branches, states, changeClock, ...without, address, migrationsApplied };
}

/** Runs a step of a start. */
type Step = <T>(name: string, run: () => Promise<T>) => Promise<T>;

/** Runs steps one after the other, each raced against the signal: a step that never ends cannot hold up a stop. */
export function stepper(signal: AbortSignal, log: Log): Step {
  signal.throwIfAborted();
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  aborted.catch(() => {});
  return async (name, run) => {
    const began = performance.now();
    const result = await Promise.race([run(), aborted]);
    signal.throwIfAborted();
    log("debug", `${name}: ${Math.round(performance.now() - began)} ms`);
    return result;
  };
}

/** Where the migrations are. Rejects with a `UsageError` that names the option. */
export async function locateMigrations(
  options: ResolvedOptions,
  cwd: string,
  log: Log,
): Promise<readonly MigrationSource[]> {
  try {
    return await findMigrations(options.migrations, cwd, log);
  } catch (error) {
    const name = options.givenAs.get("migrations");
    if (!(error instanceof UsageError) || name === undefined) throw error;
    throw new UsageError(`${name}: ${error.message}`, { cause: error });
  }
}

/** The addresses of listeners, as clients of the options' database have them. */
function addressesOf(options: ResolvedOptions, { certificateFile }: Access, migrations: readonly MigrationSource[]) {
  const clients = databaseOf(options);
  const schema = schemaOf(migrations);
  return (at: Transport): ClientAddress => ({ ...clientAddress(at, clients), certificateFile, schema });
}

/** Of Prisma's tables, where it is not the usual one. */
export function schemaOf(migrations: readonly MigrationSource[]): string | undefined {
  const [schema] = migrations.flatMap((source) => (source.kind === "prisma" ? [source.schema] : []));
  return schema === "public" ? undefined : schema;
}

function locateExtensions(options: ResolvedOptions, cwd: string, log: Log) {
  const name = nameOf(options, "extensions");
  const extensions = findExtensions(options.extensions, cwd, name);
  for (const { doubt } of extensions) if (doubt) log("info", `warning: ${name}: ${doubt}`);
  return extensions;
}

/** The lock is on the cleanup stack below the engine: the next owner gets the directory when nobody uses it any more. */
async function lockDataDirectory(
  options: ResolvedOptions,
  cwd: string,
  cleanup: CleanupStack,
  log: Log,
): Promise<OwnedDirectory | undefined> {
  if (options.db === "memory://") return undefined;
  const path = resolve(cwd, options.db);
  prepareDataDirectory(path, log);
  const { directory } = await cleanup.open(
    () => lockDirectory(path),
    (lock) => lock.release(),
  );
  return directory;
}

function listenOptions(options: ResolvedOptions, access: Access, port: number, log: Log): ListenOptions {
  const { host, maxConnections, idleTimeoutMs, stallTimeoutMs, transactionIdleTimeoutMs } = options;
  return {
    host,
    port,
    maxConnections,
    idleTimeoutMs,
    stallTimeoutMs,
    transactionIdleTimeoutMs: transactionIdleTimeoutMs ?? transactionIdleDefaultsMs.shared,
    password: access.password,
    certificate: access.certificate,
    log: (line, level = "debug") => log(level, line),
  };
}

/** A longer path than this does not fit into the address of a Unix socket (sun_path; Linux takes 4 bytes more). */
const longestSocketPathBytes = 103;

function findSocketDirectory(options: ResolvedOptions, cwd: string): Pick<ListenOptions, "socketDir"> {
  if (options.socketDir === undefined) return {};
  const directory = resolve(cwd, options.socketDir);
  const name = nameOf(options, "socketDir");
  if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory()) {
    throw new UsageError(`${name}: there is no directory ${directory}`);
  }
  if (Buffer.byteLength(`${directory}/.s.PGSQL.65535`) > longestSocketPathBytes) {
    throw new UsageError(`${name}: ${directory} is too long for a Unix socket; name a shorter directory`);
  }
  return { socketDir: directory };
}
