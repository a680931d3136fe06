/**
 * The public interface of the package.
 *
 * Owns: which names are public. Does not own: anything else; re-exports only.
 */

export type {
  ClockSpan,
  DevDb,
  DevDbBranch,
  DevDbClock,
  DevDbController,
  DevDbOptions,
  DevDbStats,
} from "./dev-db/handle.ts";
export { createDevDb, startDevDb } from "./dev-db.ts";
export { DataDirectoryError, ExitCode, MigrationError, PortTakenError, UsageError } from "./errors.ts";
export type { Log, LogLevel } from "./options.ts";
export type {
  ClaimAndBootOptions,
  ClaimedPorts,
  ClaimOptions,
  CloseOutcome,
  EndableClient,
  PortClaim,
  PortRange,
  PortsWanted,
} from "./testing/index.ts";
export { claimAndBoot, claimPorts, closePostgres } from "./testing/index.ts";
