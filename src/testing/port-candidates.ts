/**
 * Which blocks of consecutive ports are worth a try, and in which order.
 *
 * Owns: the validation of a claim's options and the order of the candidates. Does not own: whether a port is free.
 * Invariant: no candidate block contains a privileged port or one of the kernel's ephemeral ports: a listener there
 * could lose its port to any outgoing connection between the claim and the boot.
 */
import { UsageError } from "../errors.ts";
import { ephemeralPorts, type PortRange } from "./ephemeral-ports.ts";

/** What is claimed: so many ports, or one port for each name. */
export type PortsWanted = number | readonly string[];

/** Where a claim looks for ports. */
export interface ClaimOptions {
  /** Only ports from here are taken; without the kernel's ephemeral ones. 20000 to 65535 by default. */
  readonly range?: PortRange;
  /** The port to look at first; the search goes on upwards and then around. Random by default. */
  readonly startAt?: number;
  /** Ends the search at once. A claim that was made is no longer affected by it. */
  readonly signal?: AbortSignal | undefined;
}

/** The candidates of one claim. */
export interface PortCandidates {
  /** The first port of every block that fits, in ascending order; at least one. */
  readonly bases: readonly number[];
  /** The port to look at first. */
  readonly startAt: number;
  /** The ports that were looked through, for a person: `20000-32767, 61000-65535`. */
  readonly description: string;
}

/** Above every port that browsers refuse to connect to (the highest is 10080) and most well-known services. */
const defaultRange: PortRange = { first: 20_000, last: 65_535 };
const firstUnprivileged = 1_024;
const lastPort = 65_535;
const maxCount = 256;

/** Returns how many ports are wanted. Throws a `UsageError` for a bad count and for empty or repeated names. */
export function countPorts(wanted: PortsWanted): number {
  if (typeof wanted === "number") {
    checkWhole("count", wanted, 1, maxCount);
    return wanted;
  }
  const isNamed = (name: unknown) => typeof name === "string" && name !== "";
  if (!Array.isArray(wanted) || !wanted.every(isNamed) || new Set(wanted).size !== wanted.length) {
    throw refusal("names", wanted, "a list of different names, none of them empty");
  }
  checkWhole("the number of names", wanted.length, 1, maxCount);
  return wanted.length;
}

/**
 * Returns where to look for `count` consecutive ports. Throws a `UsageError` that names the option, its value and
 * what it takes, also when no such block lies outside of the kernel's ephemeral ports.
 */
export function portCandidates(
  count: number,
  options: ClaimOptions,
  ephemeral: PortRange = ephemeralPorts(),
): PortCandidates {
  const range = checkRange(options.range ?? defaultRange);
  if (options.startAt !== undefined) checkWhole("startAt", options.startAt, range.first, range.last);
  const usable = [
    { first: range.first, last: Math.min(range.last, ephemeral.first - 1) },
    { first: Math.max(range.first, ephemeral.last + 1), last: range.last },
  ].filter(({ first, last }) => first <= last);
  const bases = usable.flatMap(({ first, last }) => upTo(first, last - count + 1));
  if (bases.length === 0) {
    throw refusal(
      "range",
      range,
      `a range with ${count} consecutive ports outside of the kernel's ephemeral ports ${show(ephemeral)}`,
    );
  }
  const startAt = options.startAt ?? bases[Math.floor(Math.random() * bases.length)]!;
  return { bases, startAt, description: usable.map(show).join(", ") };
}

/**
 * Orders candidate bases for a search that begins at `startAt` and goes around: first the blocks that lie end to end,
 * then those that overlap them. Two searches from one port then move on to different blocks, not into each other's.
 */
export function searchOrder(bases: readonly number[], count: number, startAt: number): number[] {
  const around = [...bases.filter((base) => base >= startAt), ...bases.filter((base) => base < startAt)];
  const isAligned = (base: number) => (base - around[0]!) % count === 0;
  return [...around.filter(isAligned), ...around.filter((base) => !isAligned(base))];
}

function checkRange(range: PortRange): PortRange {
  checkWhole("range.first", range?.first, firstUnprivileged, lastPort);
  checkWhole("range.last", range.last, range.first, lastPort);
  return range;
}

function checkWhole(option: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw refusal(option, value, `a whole number from ${min} to ${max}`);
}

function refusal(option: string, value: unknown, accepted: string): UsageError {
  const shown = typeof value === "object" ? JSON.stringify(value) : String(value);
  return new UsageError(`claimPorts: ${option} is ${shown}; it takes ${accepted}`);
}

function show({ first, last }: PortRange): string {
  return `${first}-${last}`;
}

function upTo(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
}
