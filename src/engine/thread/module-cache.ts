/**
 * The rewritten module and its libraries, kept in files so that the rewrite is done once for each binary.
 *
 * Owns: the cache files, their names and their form. Does not own: the rewrite (`rewrite/postgres.ts`), the
 * directory (`user-cache.ts`).
 * Form: the SHA-256 of the rest, the length of the JSON of what was located, that JSON, the rewritten module; of a library,
 * the SHA-256 of the rest, the rewritten library.
 * Invariant: a file is either whole or not used (its hash is over all of it); one
 * that cannot be read or written, or is of another form, costs only the time of a rewrite.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { markWrites } from "./rewrite/mark-writes.ts";
import { type Located, rewritePostgres } from "./rewrite/postgres.ts";
import { reserveStack } from "./rewrite/stack-depth.ts";
import { cacheDirectory, keepInCache, readCached } from "./user-cache.ts";
import { type CompiledModule, webAssembly } from "./wasm/web-assembly.ts";

/** Part of the file's name: to be raised with every change of the rewrite or of the file's form. */
const rewriteVersion = 47;

/** A smaller library is rewritten sooner than read. */
const smallestKept = 1 << 16;

const hashBytes = 32;
const lengthBytes = 4;

/**
 * The SHA-256 hashes of binaries with which the sessions are tested. Another binary needs the self-check.
 * Keys are hashes, values the versions of `@electric-sql/pglite`.
 */
export const knownBinaries: Readonly<Record<string, string>> = {
  "7ec09d5161aabfe03cf6f3999549398a14e23db467d799fbd28004586d362035": "0.5.14",
};

/** The module of the sessions. */
export interface RewrittenPostgres {
  readonly module: CompiledModule;
  readonly located: Located;
  /** Whether the binary is one of `knownBinaries`. */
  readonly known: boolean;
}

/**
 * Rewrites and compiles, or takes the rewritten module from the cache. Rejects, naming the pattern, when the binary is not
 * of the known shape. `directory` is for tests; an empty one is no cache.
 */
export async function loadRewritten(
  stock: Uint8Array,
  directory: string | undefined = cacheDirectory(),
): Promise<RewrittenPostgres> {
  const hash = sha256(stock);
  const known = hash.toString("hex") in knownBinaries;
  const path = directory && join(directory, `sessions-${rewriteVersion}-${hash.toString("hex", 0, 16)}`);
  const cached = path ? readModule(path) : undefined;
  if (cached) {
    // Written by another version of this program, or compiled by another V8.
    const module = await webAssembly.compile(cached.bytes).catch(() => undefined);
    if (module) return { module, located: cached.located, known };
  }
  const { bytes: rewritten, ...located } = rewritePostgres(stock);
  const bytes = markWrites(rewritten);
  const module = await webAssembly.compile(bytes);
  if (path) writeCached(path, bytes, located);
  return { module, located, known };
}

/** A library with marks, as `markWrites` makes it, and larger frames (`reserveStack`), from the cache if it is there. */
export function loadMarked(stock: Uint8Array, directory: string | undefined = cacheDirectory()): Uint8Array {
  return loadEdited("library", stock, (bytes) => markWrites(reserveStack(bytes)), directory);
}

/** A module or library with larger frames only, for one session that all share, from the cache if it is there. */
export function loadReserved(stock: Uint8Array, directory: string | undefined = cacheDirectory()): Uint8Array {
  return loadEdited("shared", stock, reserveStack, directory);
}

function loadEdited(
  kind: string,
  stock: Uint8Array,
  edit: (bytes: Uint8Array) => Uint8Array,
  directory: string | undefined,
): Uint8Array {
  if (!directory || stock.length < smallestKept) return edit(stock);
  const path = join(directory, `${kind}-${rewriteVersion}-${sha256(stock).toString("hex", 0, 16)}`);
  const cached = readWhole(path);
  if (cached) return cached;
  const edited = edit(stock);
  if (edited.length !== stock.length) keepInCache(path, Buffer.concat([sha256(edited), edited]));
  return edited;
}

function readModule(path: string): { bytes: Uint8Array; located: Located } | undefined {
  try {
    const body = readWhole(path);
    if (!body) return undefined;
    const end = lengthBytes + body.readUInt32LE(0);
    return { located: JSON.parse(body.toString("utf8", lengthBytes, end)) as Located, bytes: body.subarray(end) };
  } catch {
    return undefined;
  }
}

/** What is behind the hash, if it is that. */
function readWhole(path: string): Buffer | undefined {
  try {
    const file = readCached(path);
    const body = file.subarray(hashBytes);
    return sha256(body).equals(file.subarray(0, hashBytes)) ? body : undefined;
  } catch {
    return undefined;
  }
}

function writeCached(path: string, bytes: Uint8Array, located: Located): void {
  const json = Buffer.from(JSON.stringify(located));
  const length = Buffer.alloc(lengthBytes);
  length.writeUInt32LE(json.length);
  const body = Buffer.concat([length, json, bytes]);
  keepInCache(path, Buffer.concat([sha256(body), body]));
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}
