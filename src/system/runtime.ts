/**
 * The JavaScript runtime: Node.js or Bun.
 *
 * Owns: its name and version, the oldest supported versions, and the limit of the address space. Does not own: the features of a version of Node
 * (`sessions/wasm/web-assembly.ts`).
 */
import { readFileSync } from "node:fs";

/** Names the runtime with its version, as `Node v24.21.0`. */
export const runtime = process.versions.bun === undefined ? `Node ${process.version}` : `Bun ${process.versions.bun}`;

/** Older versions of Bun lack `v8.setFlagsFromString`. */
const oldestBun = [1, 4] as const;
const oldestNode = [22, 12] as const;

/** Bytes of address space; with less, V8 aborts the process. */
const leastAddressSpace = 8e9;

/** Returns the reason why this runtime cannot run a server, with the remedy; undefined if it can. */
export function describeUnfitRuntime(
  versions: NodeJS.ProcessVersions = process.versions,
  addressSpace = addressSpaceLimit(),
): string | undefined {
  const { bun, node } = versions;
  if (addressSpace !== undefined && addressSpace < leastAddressSpace) return describeAddressSpace(addressSpace);
  if (bun !== undefined && isOlder(bun, oldestBun))
    return `Bun ${bun} cannot run the server: update to Bun ${oldestBun.join(".")} or later, or start the server with Node.js: npx pglite-devdb run -- CMD`;
  if (bun === undefined && isOlder(node, oldestNode))
    return `Node v${node} is too old: install Node 24 (${oldestNode.join(".")} at least)`;
  return undefined;
}

/** Returns the message for V8's error that the address space is exhausted; undefined for any other error. */
export function describeLackOfAddresses(error: unknown, addressSpace = addressSpaceLimit()): string | undefined {
  const isLack = error instanceof Error && /WebAssembly\.Memory\(\): could not allocate memory/.test(error.message);
  return isLack ? describeAddressSpace(addressSpace) : undefined;
}

function describeAddressSpace(limit: number | undefined): string {
  const given =
    limit === undefined ? "" : `, and the limit of this process is ${Math.round(limit / 1e9)} GB (ulimit -v)`;
  return `not enough address space: WebAssembly reserves 10 GB for each of PostgreSQL's memories${given}; start the server with ulimit -v unlimited`;
}

/** Returns RLIMIT_AS in bytes; undefined if it is unlimited or unknown. */
function addressSpaceLimit(): number | undefined {
  try {
    const [, soft] = /^Max address space +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}

function isOlder(version: string, [oldestMajor, oldestMinor]: readonly [number, number]): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major < oldestMajor || (major === oldestMajor && minor < oldestMinor);
}
