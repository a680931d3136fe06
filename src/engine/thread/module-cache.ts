/**
 * The rewritten module, kept in a file so that the rewrite is done once for each binary.
 *
 * Owns: the cache file, its name and its form. Does not own: the rewrite (`rewrite/postgres.ts`).
 * Invariant: a file is either whole or not there (it is written beside and renamed); one that cannot be read or written,
 * or is of another form, costs only the time of a rewrite.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { markWrites } from "./rewrite/mark-writes.ts";
import { type Located, rewritePostgres } from "./rewrite/postgres.ts";
import { type CompiledModule, webAssembly } from "./wasm/web-assembly.ts";

/** Part of the file's name: to be raised with every change of the rewrite. */
const rewriteVersion = 21;

/**
 * The SHA-256 hashes of binaries with which the sessions are tested. Another binary needs the self-check.
 * Keys are hashes, values the versions of `@electric-sql/pglite`.
 */
export const knownBinaries: Readonly<Record<string, string>> = {
  "7ec09d5161aabfe03cf6f3999549398a14e23db467d799fbd28004586d362035": "0.5.14",
};

/** Rewrites and compiles, or takes the rewritten module from the cache. `directory` is for tests. */
export async function loadRewritten(
  stock: Uint8Array,
  directory: string | undefined = cacheDirectory(),
): Promise<{ module: CompiledModule; located: Located; known: boolean }> {
  const hash = createHash("sha256").update(stock).digest("hex");
  const known = hash in knownBinaries;
  const path = directory && join(directory, `sessions-${rewriteVersion}-${hash.slice(0, 32)}`);
  const cached = path ? readCached(path) : undefined;
  if (cached) {
    // A file that somebody changed must not stop the engine.
    const module = await webAssembly.compile(cached.bytes).catch(() => undefined);
    if (module) return { module, located: cached.located, known };
  }
  const { bytes: rewritten, ...located } = rewritePostgres(stock);
  const bytes = markWrites(rewritten);
  if (path && directory) writeCached(directory, path, bytes, located);
  return { module: await webAssembly.compile(bytes), located, known };
}

/** Where the user's programs keep what can be made again (XDG base directory specification). */
function cacheDirectory(): string | undefined {
  const base = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
  return join(base, "pglite-devdb");
}

function readCached(path: string): { bytes: Uint8Array; located: Located } | undefined {
  try {
    const { sha256, ...located } = JSON.parse(readFileSync(`${path}.json`, "utf8")) as Located & { sha256: string };
    const bytes = readFileSync(`${path}.wasm`);
    return createHash("sha256").update(bytes).digest("hex") === sha256 ? { bytes, located } : undefined;
  } catch {
    return undefined;
  }
}

function writeCached(directory: string, path: string, bytes: Uint8Array, located: Located): void {
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    replaceFile(`${path}.wasm`, bytes);
    replaceFile(`${path}.json`, JSON.stringify({ ...located, sha256 }));
  } catch {
    // Not being able to keep it (a read-only home, a full disk) is no error: the next start rewrites again.
  }
}

function replaceFile(path: string, contents: Uint8Array | string): void {
  const temporary = `${path}.${process.pid}.${Date.now()}`;
  try {
    writeFileSync(temporary, contents);
    renameSync(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
  }
}
