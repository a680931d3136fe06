/**
 * What runs this program: Node.js, or Bun.
 *
 * Owns: its name and version, and which ones cannot run a server. Does not own: what a version of Node can do (`sessions/wasm/web-assembly.ts`).
 */

/** Names the runtime with its version, as `Node v24.21.0`. */
export const runtime = process.versions.bun === undefined ? `Node ${process.version}` : `Bun ${process.versions.bun}`;

/** Bun sets the flags of PostgreSQL's stacks from 1.4 on. */
const oldestBun = [1, 4] as const;
const oldestNode = [20, 19] as const;

/** Says why the runtime cannot run a server, and what to do; undefined if it can. */
export function describeUnfitRuntime(versions: NodeJS.ProcessVersions = process.versions): string | undefined {
  const { bun, node } = versions;
  if (bun !== undefined && isOlder(bun, oldestBun))
    return `Bun ${bun} cannot run the server: update to Bun ${oldestBun.join(".")} or later, or start the server with Node.js: npx pglite-devdb run -- CMD`;
  if (bun === undefined && isOlder(node, oldestNode))
    return `Node v${node} is too old: install Node 24 (${oldestNode.join(".")} at least)`;
  return undefined;
}

function isOlder(version: string, [oldestMajor, oldestMinor]: readonly [number, number]): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major < oldestMajor || (major === oldestMajor && minor < oldestMinor);
}
