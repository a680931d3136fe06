/**
 * Consecutive free ports for services that take their port as a number.
 *
 * Owns: the search for a free block and the claim on it. Does not own: the probe of a block, or the services.
 * Invariant: between the claim and its release nobody else can bind one of its ports.
 *
 * A service that can listen on port 0 needs no claim.
 */
import { type HeldBlock, holdBlock } from "./hold-block.ts";
import {
  type ClaimOptions,
  countPorts,
  type PortCandidates,
  type PortsWanted,
  portCandidates,
  searchOrder,
} from "./port-candidates.ts";

/** The claimed ports in the form they were asked for: by position, or by name. */
export type ClaimedPorts<Wanted extends PortsWanted> = Wanted extends readonly string[]
  ? Readonly<Record<Wanted[number], number>>
  : readonly number[];

/** Ports that are held until they are released. */
export interface PortClaim<Wanted extends PortsWanted = PortsWanted> extends AsyncDisposable {
  readonly ports: ClaimedPorts<Wanted>;
  /** Lets the ports go; call it the instant before the services start. Resolves when they can be bound. Idempotent. */
  release(): Promise<void>;
}

/**
 * Claims so many consecutive ports, or one port for each name, and holds them until the claim is released.
 * Every port of the block is free on IPv4 and IPv6, unprivileged and outside of the kernel's ephemeral ports.
 * Rejects with a `UsageError` for a bad option, with an error that says where it looked when no block is free, and
 * with the reason of an aborted `signal`; nothing is left bound then. A claim does not keep the process alive.
 */
export async function claimPorts<const Wanted extends PortsWanted>(
  wanted: Wanted,
  options: ClaimOptions = {},
): Promise<PortClaim<Wanted>> {
  const candidates = portCandidates(countPorts(wanted), options);
  const { claim } = await claimNext(wanted, candidates, candidates.startAt, options.signal);
  return claim;
}

/**
 * Claims the first free block from `startAt` on, and says where the one after it starts.
 * The search of `claimPorts` and `claimAndBoot`.
 */
export async function claimNext<const Wanted extends PortsWanted>(
  wanted: Wanted,
  candidates: PortCandidates,
  startAt: number,
  signal: AbortSignal | undefined,
): Promise<{ claim: PortClaim<Wanted>; nextStartAt: number }> {
  const count = countPorts(wanted);
  const taken = new Set<number>();
  for (const base of searchOrder(candidates.bases, count, startAt)) {
    const block = Array.from({ length: count }, (_, i) => base + i);
    if (block.some((port) => taken.has(port))) continue;
    const held = await holdBlock(base, count, signal);
    if (typeof held === "number") taken.add(held);
    else return { claim: claimOf(wanted, block, held), nextStartAt: base + count };
  }
  throw new Error(
    `claimPorts: no ${count} consecutive ports are free in ${candidates.description} ` +
      `(${taken.size} taken, for example ${[...taken].slice(0, 5).join(", ")}); widen \`range\``,
  );
}

function claimOf<Wanted extends PortsWanted>(wanted: Wanted, block: number[], held: HeldBlock): PortClaim<Wanted> {
  const ports = typeof wanted === "number" ? block : Object.fromEntries(wanted.map((name, i) => [name, block[i]]));
  return {
    ports: Object.freeze(ports) as ClaimedPorts<Wanted>,
    release: () => held.release(),
    [Symbol.asyncDispose]: () => held.release(),
  };
}
