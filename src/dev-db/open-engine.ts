/**
 * Opening the engine that the options ask for, with isolated sessions where they can be had.
 *
 * Owns: the options of the engine, and what follows when isolated sessions cannot be had. Does not own: finding that out
 * (`engine/`), or the steps before and after (`open.ts`).
 * Invariant: sessions are shared only where they may be: who has asked for isolated ones gets them or an error.
 */
import { resolve } from "node:path";
import { describeOpenFailure } from "../engine/data-directory/data-directory.ts";
import type { Engine } from "../engine/engine.ts";
import type { EngineOptions } from "../engine/kept-engine.ts";
import { DataDirectoryError, SessionsUnavailableError, UsageError } from "../errors.ts";
import { limits } from "../limits.ts";
import { transactionIdleDefaultsMs } from "../options/value-kinds.ts";
import { nameOf, type ResolvedOptions } from "../options.ts";
import { describeLackOfAddresses } from "../system/runtime.ts";
import { explainSettings } from "./settings.ts";

/** What the caller knows of the engine's options. */
type OtherOptions = Pick<EngineOptions, "directory" | "extensions" | "settings" | "restore" | "perGitBranch"> &
  Required<Pick<EngineOptions, "log">>;

/**
 * Opens it. Rejects with a `UsageError` when isolated sessions were asked for and cannot be had; where they are only the
 * default the log gets a warning, and all connections share one. An aborted start does not begin again like that.
 */
export async function openEngineAt(
  options: ResolvedOptions,
  cwd: string,
  otherOptions: OtherOptions,
  openEngine: (options: EngineOptions) => Promise<Engine>,
  signal: AbortSignal,
): Promise<Engine> {
  const { cache, memoryLimitMb } = options;
  const memoryLimitBytes = memoryLimitMb === undefined ? undefined : memoryLimitMb * 2 ** 20;
  const common = { cache, memoryLimitBytes, signal };
  const open = (
    sessions: Pick<
      EngineOptions,
      "maxSessions" | "transactionIdleTimeoutMs" | "makesBranches" | "branchTtlMs" | "perGitBranch" | "seedRandom"
    >,
  ) =>
    openInPlace(options, cwd, { ...otherOptions, ...sessions, ...common }, async (inPlace) => {
      try {
        return await openEngine(inPlace);
      } catch (error) {
        const lack = describeLackOfAddresses(error);
        throw lack === undefined ? explainSettings(options, error) : new UsageError(lack, { cause: error });
      }
    });
  if (options.seedRandom !== undefined && options.db !== "memory://") {
    const name = nameOf(options, "seedRandom");
    throw new UsageError(
      `${name}: needs a database in memory; in ${options.db} the UUIDs of one start would come again in the next`,
    );
  }
  if (memoryLimitMb !== undefined && options.db !== "memory://") {
    const name = nameOf(options, "memoryLimitMb");
    throw new UsageError(`${name}: needs a database in memory; the disk limits the database in ${options.db}`);
  }
  const needing =
    (["branches", "resets"] as const).find((key) => options[key] === "on") ??
    (options.perGitBranch ? "perGitBranch" : options.seedRandom === undefined ? undefined : "seedRandom");
  const needsSessions = needing && nameOf(options, needing);
  if (options.sessions === "shared") {
    if (needsSessions) throw new UsageError(`${needsSessions}: needs isolated sessions, not shared ones`);
    return open({});
  }
  try {
    return await open({
      maxSessions: options.maxConnections + limits.spareSessions,
      transactionIdleTimeoutMs: options.transactionIdleTimeoutMs ?? transactionIdleDefaultsMs.isolated,
      makesBranches: options.branches === "on",
      branchTtlMs: options.branchTtlMs,
      perGitBranch: otherOptions.perGitBranch,
      seedRandom: options.seedRandom,
    });
  } catch (error) {
    if (!(error instanceof SessionsUnavailableError)) throw error;
    const name = options.givenAs.get("sessions") ?? needsSessions;
    if (name !== undefined) throw new UsageError(`${name}: ${error.message}`, { cause: error });
    signal.throwIfAborted();
    const consequence = "all connections share one PostgreSQL session, as with --sessions shared";
    otherOptions.log("info", `warning: ${error.message}; ${consequence}`);
    return open({});
  }
}

async function openInPlace(
  options: ResolvedOptions,
  cwd: string,
  engineOptions: Omit<EngineOptions, "dataDir">,
  openEngine: (options: EngineOptions) => Promise<Engine>,
): Promise<Engine> {
  if (options.db === "memory://") return openEngine({ dataDir: options.db, ...engineOptions });
  const path = resolve(cwd, options.db);
  // What is in a directory survives its engine.
  const { restore: _, ...durable } = engineOptions;
  try {
    return await openEngine({ dataDir: path, fsync: options.fsync === "on", ...durable });
  } catch (error) {
    const isOurs = [SessionsUnavailableError, DataDirectoryError, UsageError].some((ours) => error instanceof ours);
    throw isOurs ? error : describeOpenFailure(path, error);
  }
}
