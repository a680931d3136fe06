/**
 * A disk with faults: Node's file functions fail, or write less than they were told, in the threads of a process.
 *
 * Owns: which call it is, by the order that the file FILE_FAULT has (`FileFault`), and noting it in FILE_FAULT.hits. Every
 * other call is the real one. Loaded with `--import`; the process's main thread, which has no database, is left alone.
 * Invariant: only files under the order's directory are met; a fault that is to come once comes once in the whole process.
 */
import fs, { appendFileSync, existsSync, readFileSync, readlinkSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { isMainThread } from "node:worker_threads";

/** What shall go wrong, as JSON. */
export interface FileFault {
  /** Tells one order from the next. */
  readonly id: number;
  /** The files below it are the database's. */
  readonly directory: string;
  /** `short`: half of a write is written, and that is no error. */
  readonly kind: "ENOSPC" | "EIO" | "short";
  /** The functions of `node:fs` that are counted. */
  readonly calls: readonly FaultyCall[];
  /** Only the files whose path matches; all if it is left out. */
  readonly path?: string;
  /** The first of them that fails, from 1. */
  readonly nth: number;
  /** Whether all that follow fail as well. */
  readonly lasting: boolean;
}

/** The functions that can be made to fail. */
export type FaultyCall = (typeof onDescriptors)[number] | (typeof onPaths)[number];

const onDescriptors = ["writeSync", "readSync", "fsyncSync", "ftruncateSync"] as const;
const onPaths = [
  ...(["openSync", "writeFileSync", "mkdirSync", "renameSync", "unlinkSync", "truncateSync"] as const),
  // By the file that is copied.
  "copyFileSync",
] as const;
/** Those of `onPaths` that take space when they make a file. */
const makesFile = fs.constants.O_CREAT;
const words = { ENOSPC: "no space left on device", EIO: "i/o error" };

const orderPath = process.env.FILE_FAULT;
const paths = new Map<number, string>();
let lastId = -1;
let count = 0;

if (orderPath !== undefined && !isMainThread) {
  const real = { ...fs };
  // Takes no notice of types: each gets what it was called with.
  const replaced = fs as unknown as Record<string, (...values: unknown[]) => unknown>;
  for (const name of onPaths) {
    const call = replaced[name]!;
    replaced[name] = (path, ...more) => {
      if (name !== "openSync" || (more[0] as number) & makesFile) meet(name, String(path), orderPath);
      const result = call(path, ...more);
      if (name === "openSync") paths.set(result as number, String(path));
      return result;
    };
  }
  for (const name of onDescriptors) {
    const call = replaced[name]!;
    replaced[name] = (descriptor, ...more) => {
      const isShort = meet(name, paths.get(descriptor as number) ?? "", orderPath);
      if (!isShort) return call(descriptor, ...more);
      const [buffer, offset, length, position] = more as [Uint8Array, number, number, number | null];
      return real.writeSync(descriptor as number, buffer, offset, Math.max(1, length >> 1), position);
    };
  }
  syncBuiltinESMExports();
}

/** Throws if this call shall fail; true if it shall do half of its work. */
function meet(call: FaultyCall, path: string, file: string): boolean {
  const now = readOrder(file);
  if (!now) return false;
  if (now.id !== lastId) {
    lastId = now.id;
    count = 0;
  }
  if (!now.calls.includes(call) || !whereItLeads(path).startsWith(now.directory)) return false;
  if (now.path !== undefined && !new RegExp(now.path).test(path)) return false;
  count++;
  const hits = `${file}.${now.id}.hits`;
  if (now.lasting ? count < now.nth && !existsSync(hits) : count !== now.nth || existsSync(hits)) return false;
  appendFileSync(hits, `${call} ${path}\n`);
  if (now.kind === "short") return true;
  const message = `${now.kind}: ${words[now.kind]}, ${call}`;
  throw Object.assign(new Error(message), { code: now.kind, errno: now.kind === "EIO" ? -5 : -28, syscall: call });
}

/** The database's files are opened below a descriptor of its directory, where the system has such paths. */
function whereItLeads(path: string): string {
  const [descriptor] = /^\/proc\/self\/fd\/\d+/.exec(path) ?? [];
  return descriptor === undefined ? path : join(readlinkSync(descriptor), path.slice(descriptor.length));
}

function readOrder(file: string): FileFault | undefined {
  if (!existsSync(file)) return undefined;
  try {
    return JSON.parse(readFileSync(file, "utf8")) as FileFault;
  } catch {
    // It has just been taken back.
    return undefined;
  }
}
