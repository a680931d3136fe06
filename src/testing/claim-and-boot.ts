/**
 * Services on claimed ports, booted again elsewhere when one of them lost its port.
 *
 * Owns: the attempts. Does not own: the claim, or what a failed boot has opened (the boot closes that itself).
 * Invariant: a boot runs with its block released, and a block is tried once; only EADDRINUSE is worth another attempt.
 *
 * A claim must be released before its services can bind, so a port can be lost in between: rarely, but it happens.
 */
import { isAddressInUse } from "./address-in-use.ts";
import { type ClaimedPorts, claimNext } from "./claim-ports.ts";
import { type ClaimOptions, countPorts, type PortsWanted, portCandidates } from "./port-candidates.ts";

const maxAttempts = 3;

/** What to claim, and where to look for it. */
export interface ClaimAndBootOptions<Wanted extends PortsWanted> extends ClaimOptions {
  /** So many ports, or one port for each name. */
  readonly ports: Wanted;
}

/**
 * Claims ports, releases them and boots on them; resolves with what `boot` resolves with.
 * When a boot fails with EADDRINUSE, also as the cause or as a part of its error, the next block is claimed and booted
 * on, three attempts in all. Any other error of a boot, and that of the last attempt, is passed on as it is.
 * An aborted `signal` ends a claim at once and allows no further attempt. A boot that runs gets the signal and heeds it
 * itself: only the boot can close what it has opened. Further errors are those of `claimPorts`.
 */
export async function claimAndBoot<const Wanted extends PortsWanted, T>(
  options: ClaimAndBootOptions<Wanted>,
  boot: (ports: ClaimedPorts<Wanted>, signal?: AbortSignal) => Promise<T>,
): Promise<T> {
  const { ports: wanted, signal } = options;
  const candidates = portCandidates(countPorts(wanted), options);
  let startAt = candidates.startAt;
  for (let attempt = 1; ; attempt++) {
    const { claim, nextStartAt } = await claimNext(wanted, candidates, startAt, signal);
    startAt = nextStartAt;
    await claim.release();
    signal?.throwIfAborted();
    try {
      return await boot(claim.ports, signal);
    } catch (error) {
      if (attempt === maxAttempts || !isAddressInUse(error)) throw error;
    }
  }
}
