/**
 * PGlite's memory as memory that two threads see.
 *
 * Owns: the imports of every WebAssembly module that is loaded in this thread. Does not own: what the main thread does
 * with the memory (`supervisor.ts`). Invariant: only the engine thread imports this; the wrapped entry
 * points stay for its life, because PostgreSQL loads side modules (`plpgsql.so` …) later, and they import the memory too.
 */
import { types } from "node:util";
import { type PostgresCalls, refuseMissingFunctions } from "./missing-functions.ts";

type Imports = Record<string, Record<string, unknown>>;
interface MemoryDescriptor {
  initial: number;
  maximum?: number;
  shared?: boolean;
}
interface WebAssemblyNamespace {
  Memory: new (descriptor: MemoryDescriptor) => { readonly buffer: ArrayBuffer | SharedArrayBuffer };
  Module: new (source: Uint8Array) => object;
  Instance: new (module: object, imports?: Imports) => Instance;
  compile(source: Uint8Array): Promise<object>;
  instantiate(source: object, imports?: Imports): Promise<Instance | { instance: Instance }>;
}
interface Instance {
  readonly exports: PostgresCalls["exports"];
}

// TypeScript knows WebAssembly only with the browser's library.
const webAssembly = (globalThis as unknown as { WebAssembly: WebAssemblyNamespace }).WebAssembly;

// Engine: the maximum of PGlite's own memory, in pages of 64 KiB; initdb's has another. A change fails at boot.
const pgliteMaximum = 32_768;
// For a side module, which declares none; a shared memory must have one, and any that is at least the memory's will do.
const anyMaximum = 65_536;

/**
 * From now on this thread's PGlite memories are shared, and the imports of their modules fit them.
 * `_setitimer_js` does nothing: PGlite's own timers would run PostgreSQL's signal handler while nobody is in the
 * engine, and after `SET idle_in_transaction_session_timeout` the next call would never return.
 */
export function shareMemories(): void {
  const { Memory, Module, Instance, compile, instantiate } = webAssembly;
  // By memory: while a database is made there are two.
  const running = new WeakMap<object, PostgresCalls>();
  const refusing = (imports: Imports | undefined): Imports | undefined => {
    // Emscripten resolves the imports of a library one by one.
    if (!imports?.env || !types.isProxy(imports.env)) return imports;
    const { env } = imports;
    return { ...imports, env: refuseMissingFunctions(env, () => running.get(env.memory as object)!) };
  };
  webAssembly.Memory = new Proxy(Memory, {
    construct: (target, [descriptor]: [MemoryDescriptor]) =>
      new target(descriptor.maximum === pgliteMaximum ? { ...descriptor, shared: true } : descriptor),
  });
  webAssembly.Module = new Proxy(Module, { construct: (target, [source]) => new target(shareMemoryImport(source)) });
  webAssembly.compile = (source) => compile.call(webAssembly, shareMemoryImport(source));
  webAssembly.Instance = new Proxy(Instance, {
    construct: (target, [module, imports]: [object, Imports?]) => new target(module, refusing(imports)),
  });
  webAssembly.instantiate = async (source, imports) => {
    const isPostgres = imports?.env && "_setitimer_js" in imports.env && !types.isProxy(imports.env);
    if (isPostgres) imports.env!._setitimer_js = () => 0;
    const module = source instanceof Module ? source : shareMemoryImport(source);
    const result = await instantiate.call(webAssembly, module, refusing(imports));
    const { exports } = "instance" in result ? result.instance : result;
    const memory = imports?.env?.memory as { readonly buffer: ArrayBuffer } | undefined;
    if (isPostgres && memory) {
      running.set(memory, {
        exports,
        get bytes() {
          return new Uint8Array(memory.buffer);
        },
      });
    }
    return result;
  };
}

const section = { import: 2 };
const importKind = { function: 0, table: 1, memory: 2, global: 3, tag: 4 };
const limitFlags = { maximum: 1, shared: 2 };

/**
 * Returns the module with its memory import declared shared, or the module itself if it imports none or a shared one.
 * Mirrors the binary format of the WebAssembly specification, 5.5.5 (import section) and 5.3.8 (limits).
 */
export function shareMemoryImport(source: unknown): Uint8Array {
  const bytes = asBytes(source);
  const reader = new Reader(bytes, 8);
  while (reader.at < bytes.length) {
    const sectionAt = reader.at;
    const id = reader.byte();
    const size = reader.unsigned();
    const body = reader.at;
    if (id !== section.import) {
      reader.at = body + size;
      continue;
    }
    const limits = findMemoryLimits(reader);
    if (!limits || limits.flags & limitFlags.shared) return bytes;
    const rewritten = [limitFlags.maximum | limitFlags.shared, ...leb(limits.initial), ...leb(limits.maximum)];
    return Buffer.concat([
      bytes.subarray(0, sectionAt + 1),
      Buffer.from(leb(size - (limits.end - limits.start) + rewritten.length)),
      bytes.subarray(body, limits.start),
      Buffer.from(rewritten),
      bytes.subarray(limits.end),
    ]);
  }
  return bytes;
}

interface Limits {
  start: number;
  end: number;
  flags: number;
  initial: number;
  maximum: number;
}

function findMemoryLimits(reader: Reader): Limits | undefined {
  for (let left = reader.unsigned(); left > 0; left--) {
    reader.name();
    reader.name();
    const kind = reader.byte();
    if (kind === importKind.memory) return readLimits(reader);
    if (kind === importKind.function) reader.unsigned();
    else if (kind === importKind.global) reader.at += 2;
    else if (kind === importKind.table) {
      reader.byte();
      readLimits(reader);
    } else if (kind === importKind.tag) {
      reader.byte();
      reader.unsigned();
    }
  }
  return undefined;
}

function readLimits(reader: Reader): Limits {
  const start = reader.at;
  const flags = reader.unsigned();
  const initial = reader.unsigned();
  const maximum = flags & limitFlags.maximum ? reader.unsigned() : anyMaximum;
  return { start, end: reader.at, flags, initial, maximum };
}

class Reader {
  readonly #bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  byte(): number {
    return this.#bytes[this.at++]!;
  }

  unsigned(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  }

  name(): void {
    const length = this.unsigned();
    this.at += length;
  }
}

function leb(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest & 127) | 128);
  }
}

function asBytes(source: unknown): Uint8Array {
  if (ArrayBuffer.isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  return new Uint8Array(source as ArrayBuffer);
}
