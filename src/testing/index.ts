/**
 * What a test suite needs around a database: free ports and a proper end.
 *
 * Owns: the list of what is public here; re-exports only.
 * Invariant: nothing here imports the server, so that the package's root can offer it as well.
 */
export { type ClaimAndBootOptions, claimAndBoot } from "./claim-and-boot.ts";
export { type ClaimedPorts, claimPorts, type PortClaim } from "./claim-ports.ts";
export { type CloseOutcome, closePostgres, type EndableClient } from "./close-postgres.ts";
export type { PortRange } from "./ephemeral-ports.ts";
export type { ClaimOptions, PortsWanted } from "./port-candidates.ts";
