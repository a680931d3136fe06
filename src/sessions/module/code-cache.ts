/**
 * The code that V8 has made of PostgreSQL, kept in a file: the next server begins with what this one has optimized.
 *
 * Owns: the file, its name and form, and whether this process has more to keep than is in it. Does not own: V8's side of it
 * (`v8-code.ts`), the moment (`code-keeper.ts`), the directory (`../../system/user-cache.ts`).
 * Form: the CRC-32 of the rest, the length of a JSON (`Head`), that JSON, V8's bytes.
 * Invariant: V8 gets a file only if all of it is what this program has written, for this very V8 and this very module; with
 * anything else the module is compiled, as without a file.
 */
import { createHash } from "node:crypto";
import { closeSync, fstatSync, readSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { dropFromCache, keepInCache, openCached } from "../../system/user-cache.ts";
import type { CompiledModule } from "../wasm/web-assembly.ts";
import { codeEnvironment, readCode, writeCode } from "./v8-code.ts";

/** Part of the file's name: to be raised with every change of its form. */
const codeVersion = 2;

const sumBytes = 4;
const lengthBytes = 4;
const longestHead = 4096;

/** A module with code for less than this part of it has not been optimized yet: PostgreSQL's comes to two thirds. */
const smallestPart = 1 / 16;
/** Reading takes the longer the more there is. */
const largestCode = 1 << 25;

/** Code is kept anew when it comes of so many times as much work as what is in the file. */
const growth = 2;

interface Head {
  /** What the code depends on. */
  readonly key: string;
  /** How long engine threads have run (CPU, in ms) for V8 to know what to optimize: of this one and those it has its code from. */
  readonly workMs: number;
  readonly codeBytes: number;
}

/** The code of a module, as far as it can be kept. */
export interface KeepableCode {
  /** Whether there is more to keep than there is. */
  readonly isDue: boolean;
  /** Answers whether it was kept. `small`: see `writeCode`. */
  keep(small: unknown): boolean;
}

/** See the head of the file. */
export class CodeCache {
  readonly #path: string;
  readonly #moduleBytes: number;
  readonly #environment: string;
  readonly #key: string;
  /** What the code comes of that this process began with; undefined if that was none. */
  #inheritedMs: number | undefined;

  private constructor(path: string, moduleBytes: number, environment: string, key: string) {
    this.#path = path;
    this.#moduleBytes = moduleBytes;
    this.#environment = environment;
    this.#key = key;
  }

  /**
   * For the module with this hash and length. Undefined where the V8 is not known. To be called when V8's flags are as they will be:
   * later there is nothing to keep.
   */
  static of(directory: string, moduleHash: Uint8Array, moduleBytes: number): CodeCache | undefined {
    const environment = codeEnvironment();
    if (environment === undefined) return undefined;
    const key = `${environment} ${Buffer.from(moduleHash).toString("hex")}`;
    const name = `code-${codeVersion}-${createHash("sha256").update(key).digest().toString("hex", 0, 16)}`;
    return new CodeCache(join(directory, name), moduleBytes, environment, key);
  }

  /** The module with these bytes and the code in the file. A file that cannot be used goes. */
  read(bytes: Uint8Array): CompiledModule | undefined {
    let isThere = false;
    const found = this.#open((file, size) => {
      isThere = true;
      return readWhole(file, size);
    });
    const module = found && this.#isOurs(found.head) ? readCode(found.code, bytes) : undefined;
    if (module) this.#inheritedMs = found?.head.workMs;
    else if (isThere) dropFromCache(this.#path);
    return module;
  }

  /** Whether the module's code came from the file. */
  get isUsed(): boolean {
    return this.#inheritedMs !== undefined;
  }

  /** Whether there is no file, or the code of this process comes of much more work than what is in it. */
  get isDue(): boolean {
    const there = this.#open(readHead);
    return !there || !this.#isOurs(there) || this.#workMs >= growth * there.workMs;
  }

  /** Writes the file, unless there is more in it. Not being able to is no error. Answers whether it did. `small`: as for `writeCode`. */
  keep(module: CompiledModule, small: unknown): boolean {
    const workMs = this.#workMs;
    if (codeEnvironment() !== this.#environment) return false;
    const code = writeCode(module, small);
    // Another thread may have changed a flag meanwhile.
    if (!code || codeEnvironment() !== this.#environment) return false;
    // V8 optimizes on a thread of its own, which on a busy machine may not have had a turn yet.
    const least = Math.max(smallestPart * this.#moduleBytes, this.#open(readHead)?.codeBytes ?? 0);
    if (code.length < least || code.length > largestCode) return false;
    const head = Buffer.from(JSON.stringify({ key: this.#key, workMs, codeBytes: code.length } satisfies Head));
    const length = Buffer.alloc(lengthBytes);
    length.writeUInt32LE(head.length);
    const sum = Buffer.alloc(sumBytes);
    sum.writeUInt32LE(crc32(code, crc32(head, crc32(length))));
    const isKept = keepInCache(this.#path, sum, length, head, code);
    code.buffer.transfer(0);
    return isKept;
  }

  get #workMs(): number {
    const { user, system } = process.threadCpuUsage();
    return Math.round((this.#inheritedMs ?? 0) + (user + system) / 1000);
  }

  #isOurs({ key, workMs, codeBytes }: Head): boolean {
    return key === this.#key && Number.isFinite(workMs) && codeBytes <= largestCode;
  }

  /** Undefined also if there is no file, or none to be read by us. */
  #open<T>(read: (file: number, size: number) => T | undefined): T | undefined {
    try {
      const file = openCached(this.#path);
      try {
        return read(file, fstatSync(file).size);
      } finally {
        closeSync(file);
      }
    } catch {
      return undefined;
    }
  }
}

/** Of a file that has the length which it says. May throw. */
function readHead(file: number, size: number): Head | undefined {
  const headLength = readAt(file, sumBytes, lengthBytes).readUInt32LE();
  if (headLength > longestHead) return undefined;
  const head = JSON.parse(readAt(file, sumBytes + lengthBytes, headLength).toString("utf8")) as Head;
  return sumBytes + lengthBytes + headLength + head.codeBytes === size ? head : undefined;
}

/** Of a file that has its sum. The code has memory of its own. May throw. */
function readWhole(file: number, size: number): { head: Head; code: Uint8Array<ArrayBuffer> } | undefined {
  const head = readHead(file, size);
  if (!head || !(head.codeBytes <= largestCode)) return undefined;
  const before = readAt(file, 0, size - head.codeBytes);
  const code = readAt(file, before.length, head.codeBytes);
  const sum = crc32(code, crc32(before.subarray(sumBytes)));
  return sum === before.readUInt32LE(0) ? { head, code } : undefined;
}

/** Fewer bytes at the end of the file. */
function readAt(file: number, at: number, length: number): Buffer<ArrayBuffer> {
  const bytes = Buffer.from(new ArrayBuffer(length));
  return bytes.subarray(0, readSync(file, bytes, 0, length, at));
}
