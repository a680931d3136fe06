/**
 * The rewritten module and its libraries, kept in files so that the rewrite is done once for each binary.
 *
 * Owns: the cache files, their names and their form. Does not own: the rewrite (`../rewrite/postgres.ts`), what V8 makes of the
 * module (`code-cache.ts`), the directory (`../../system/user-cache.ts`).
 * Form: the CRC-32 of the rest; of the module, the SHA-256 of the rest, the length of the JSON of what was located, that JSON, the
 * rewritten module; of a library, the rewritten library.
 * Invariant: a file is either whole or not used (its sum is over all of it); one
 * that cannot be read or written, or is of another form, costs only the time of a rewrite. The SHA-256 is not computed again:
 * it would be a tenth of a start.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { madeOnce } from "../../system/made-once.ts";
import { abandoned } from "../../system/separate.ts";
import { cacheDirectory, keepInCache, readCached } from "../../system/user-cache.ts";
import { refuseEncodings } from "../rewrite/encodings.ts";
import { markWrites } from "../rewrite/mark-writes.ts";
import { rewriteAndMark } from "../rewrite/marked-postgres.ts";
import type { Located, RewrittenModule } from "../rewrite/postgres.ts";
import { reserveStack } from "../rewrite/stack-depth.ts";
import { type CompiledModule, webAssembly } from "../wasm/web-assembly.ts";
import { CodeCache, type KeepableCode } from "./code-cache.ts";
import { knownBinaries } from "./known-binaries.ts";
import type { StockBinary } from "./stock-binary.ts";

/** Part of the file's name: to be raised with every change of the rewrite or of the file's form. */
const rewriteVersion = 63;

/** A smaller library is rewritten sooner than read, also by code that V8 has yet to compile. */
const smallestKept = 1 << 10;

const sumBytes = 4;
const hashBytes = 32;
const lengthBytes = 4;

/** The module of the sessions. */
export interface RewrittenPostgres {
  readonly module: CompiledModule;
  readonly located: Located;
  /** Whether the binary is one of `knownBinaries`. */
  readonly known: boolean;
  /** That of the file which it is kept in; absent where there is none. */
  readonly hash?: Uint8Array;
  /** What V8 makes of it, where that can be kept. */
  readonly code?: KeepableCode & { readonly isUsed: boolean };
}

/** The rewritten module, made now or found in the cache. */
interface Made {
  readonly bytes: Uint8Array;
  readonly located: Located;
  /** That of the file which it is kept in. */
  readonly hash: Uint8Array | undefined;
  readonly isNew: boolean;
}

/**
 * Rewrites and compiles, or takes the rewritten module from the cache. Rejects, naming the pattern, when the binary is not
 * of the known shape. `directory` is for tests; an empty one is no cache.
 */
export async function loadRewritten(
  stock: StockBinary,
  directory: string | undefined = cacheDirectory(),
  rewrite: (stock: StockBinary) => RewrittenModule | Promise<RewrittenModule> = ({ read }) => rewriteAndMark(read()),
): Promise<RewrittenPostgres> {
  const known = stock.hash in knownBinaries;
  const path = directory && join(directory, `sessions-${rewriteVersion}-${stock.hash.slice(0, 32)}`);
  const make = async (): Promise<Made> => {
    const { bytes, ...located } = await rewrite(stock);
    return { bytes, located, hash: path ? writeCached(path, bytes, located) : undefined, isNew: true };
  };
  const find = (file: string): Made | undefined => {
    const cached = readModule(file);
    return cached && { ...cached, isNew: false };
  };
  let { bytes, located, hash, isNew } = await (path ? madeOnce(path, () => find(path), make, abandoned) : make());
  let compiled = await compile(bytes, hash, directory).catch((error: unknown) => {
    if (isNew) throw error;
  });
  if (!compiled) {
    // What was found was written by another version of this program, or compiled by another V8.
    ({ bytes, located, hash, isNew } = await make());
    compiled = await compile(bytes, hash, directory);
  }
  if (!isNew) giveBack(bytes);
  return { ...compiled, located, known, ...(hash ? { hash } : {}) };
}

/** What is smaller may lie beside something else, in memory that Node shares out. */
const smallestGivenBack = 1 << 20;

/** V8 has a copy. To collect the garbage of so few objects a thread would come late, or never. Nothing of the file can be read any more. */
function giveBack({ buffer }: Uint8Array): void {
  if (buffer.byteLength < smallestGivenBack) return;
  (buffer as ArrayBuffer).transfer(0);
}

/** `hash` is that of the file which the bytes are kept in. */
async function compile(
  bytes: Uint8Array,
  hash: Uint8Array | undefined,
  directory: string | undefined,
): Promise<Pick<RewrittenPostgres, "module" | "code">> {
  const cache = hash && directory ? CodeCache.of(directory, hash, bytes.length) : undefined;
  const module = cache?.read(bytes) ?? (await webAssembly.compile(bytes));
  if (!cache) return { module };
  const { isUsed } = cache;
  return {
    module,
    code: {
      isUsed,
      get isDue() {
        return cache.isDue;
      },
      keep: (small) => cache.keep(module, small),
    },
  };
}

/** A library with marks, as `markWrites` makes it, and larger frames (`reserveStack`), from the cache if it is there. */
export function loadMarked(stock: Uint8Array, directory: string | undefined = cacheDirectory()): Uint8Array {
  return loadEdited("library", stock, (bytes) => markWrites(reserveStack(bytes)), directory);
}

/** A module or library with larger frames only, for one session that all share, from the cache if it is there. */
export function loadReserved(stock: Uint8Array, directory: string | undefined = cacheDirectory()): Uint8Array {
  return loadEdited("shared", stock, (bytes) => refuseEncodings(reserveStack(bytes)), directory);
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
  if (edited.length !== stock.length) writeWhole(path, edited);
  return edited;
}

function readModule(path: string): { bytes: Uint8Array; located: Located; hash: Uint8Array } | undefined {
  try {
    const whole = readWhole(path);
    if (!whole) return undefined;
    // The hash outlives the bytes, which are given back.
    const [hash, body] = [Buffer.from(whole.subarray(0, hashBytes)), whole.subarray(hashBytes)];
    const end = lengthBytes + body.readUInt32LE(0);
    const located = JSON.parse(body.toString("utf8", lengthBytes, end)) as Located;
    return { located, bytes: body.subarray(end), hash };
  } catch {
    return undefined;
  }
}

/** Answers with the hash. */
function writeCached(path: string, bytes: Uint8Array, located: Located): Buffer {
  const json = Buffer.from(JSON.stringify(located));
  const length = Buffer.alloc(lengthBytes);
  length.writeUInt32LE(json.length);
  const hash = sha256(length, json, bytes);
  writeWhole(path, hash, length, json, bytes);
  return hash;
}

/** What is behind the sum, if it is that of it. */
function readWhole(path: string): Buffer | undefined {
  try {
    const file = readCached(path);
    const body = file.subarray(sumBytes);
    return crc32(body) === file.readUInt32LE(0) ? body : undefined;
  } catch {
    return undefined;
  }
}

function writeWhole(path: string, ...parts: readonly Uint8Array[]): void {
  const sum = Buffer.alloc(sumBytes);
  sum.writeUInt32LE(parts.reduce((crc, part) => crc32(part, crc), 0));
  keepInCache(path, sum, ...parts);
}

function sha256(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
}
