/**
 * What PostgreSQL has written about its own state into a data directory.
 *
 * Owns: reading global/pg_control. Does not own: what a test concludes.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The DBState of a data directory (PostgreSQL: src/include/catalog/pg_control.h), in the words of pg_controldata. */
export function readClusterState(path: string): string {
  const words = [
    "starting up",
    "shut down",
    "shut down in recovery",
    "shutting down",
    "in crash recovery",
    "in archive recovery",
    "in production",
  ];
  // After system_identifier (8 bytes), pg_control_version (4) and catalog_version_no (4).
  const state = readFileSync(join(path, "global/pg_control")).readUInt32LE(16);
  return words[state] ?? `unknown state ${state}`;
}
