/**
 * What runs this program: Node.js, or Bun.
 *
 * Owns: its name and version, which ones cannot run a server, and the addresses that the process may use. Does not own: what a version of Node can
 * do (`sessions/wasm/web-assembly.ts`).
 */
import { readFileSync } from "node:fs";

/** Names the runtime with its version, as `Node v24.21.0`. */
export const runtime = process.versions.bun === undefined ? `Node ${process.version}` : `Bun ${process.versions.bun}`;

/** Bun sets the flags of PostgreSQL's stacks from 1.4 on. */
const oldestBun = [1, 4] as const;
const oldestNode = [20, 19] as const;

/** With less V8 ends the process when it reserves addresses, in bytes. */
const leastAddressSpace = 8e9;

/** Says why the runtime cannot run a server, and what to do; undefined if it can. */
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

/** The error to show instead of V8's where no addresses are left for a memory of WebAssembly; undefined for any other error. */
export function describeLackOfAddresses(error: unknown, addressSpace = addressSpaceLimit()): string | undefined {
  const isLack = error instanceof Error && /WebAssembly\.Memory\(\): could not allocate memory/.test(error.message);
  return isLack ? describeAddressSpace(addressSpace) : undefined;
}

function describeAddressSpace(limit: number | undefined): string {
  const given = limit === undefined ? "" : `: this process may use ${Math.round(limit / 1e9)} GB of them (ulimit -v)`;
  return `not enough memory addresses for PostgreSQL's memory, of which WebAssembly reserves 10 GB for each of several${given}; start the server with ulimit -v unlimited`;
}

/** How many bytes of addresses the process may use (RLIMIT_AS); undefined for any number, and where it is not known. */
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
