/**
 * Libraries that PostgreSQL loads when sessions run (`CREATE EXTENSION`, a function in C, LOAD).
 *
 * Owns: the room for their data, and that all sessions have it. Does not own: loading and linking, which is Emscripten's, the
 * files (`bundled-extensions.ts`), `_PG_init`, which PostgreSQL calls in each session that loads the library.
 * How: code and table are the machine's anyway. Emscripten would have a library's data allocated by the session that loads it
 * first; instead it lies in a room at common addresses, and becomes part of the template as it is when the library has been linked:
 * what a process would find that maps the file. Another session that loads the library finds it there, and what a session
 * writes to is its own, as with a library that was preloaded.
 * Invariant: a part of the room is written to only after it belongs to a library; sessions only see libraries that are linked.
 */

import type { Granules } from "./granules.ts";
import type { Machine } from "./machine.ts";
import type { Range } from "./private-memory.ts";
import { original } from "./shared-memory.ts";
import { type CompiledModule, type Imports, type WasmInstance, webAssembly } from "./wasm/web-assembly.ts";

/** Granules are looked at in parts of this many bytes. */
const pageBytes = 4096;
/** Engine: where the name begins in emscripten's `struct dso` (system/lib/libc/dynlink.c). */
const nameOffset = 36;
/** In a library's section `dylink.0`: the memory that it takes. */
const memoryInfo = 1;

/** See the head of the file. */
export class LateLibraries {
  readonly #machine: Machine;
  readonly #granules: Granules;
  readonly #room: Range;
  #used: number;
  #isLoading = false;
  /** Engine: emscripten takes a library whose load has failed for one that is loaded. */
  readonly #failed = new Map<string, string>();

  constructor(machine: Machine, granules: Granules, room: Range) {
    this.#machine = machine;
    this.#granules = granules;
    this.#room = room;
    this.#used = room.start;
  }

  /** `dlopen`, by way of emscripten's. Answers 0 when it has failed. */
  open(library: number, dlopen: (library: number) => number): number {
    const name = this.#nameOf(library);
    const before = this.#used;
    this.#isLoading = true;
    try {
      const failure = this.#failed.get(name);
      if (failure !== undefined) return this.#fail(failure);
      const opened = dlopen(library);
      if (!opened) this.#failed.set(name, `could not load ${name}, as before in this server`);
      else if (this.#used > before) this.#granules.adopt({ start: before, end: this.#used });
      return opened;
    } finally {
      this.#isLoading = false;
    }
  }

  /** Instantiates a library, its data in the room while one is loaded. */
  instantiate(module: CompiledModule, imports: Imports): WasmInstance {
    if (!this.#isLoading) return new original.Instance(module, imports);
    const base = this.#place(memoryOf(module));
    const { env, ...others } = imports;
    const moved = base - (env!.__memory_base as number);
    const placed = new Proxy(env!, {
      get: (target, name) => (name === "__memory_base" ? base : target[name as string]),
    });
    const { exports } = new original.Instance(module, { ...others, env: placed });
    // Emscripten adds the address that it knows to that of each variable.
    const entries = Object.entries(exports).map(([name, value]) => [
      name,
      isAddress(value) ? shift(value, moved) : value,
    ]);
    return { exports: Object.fromEntries(entries) };
  }

  #place(bytes: number): number {
    const base = this.#used;
    const end = base + Math.ceil(bytes / pageBytes) * pageBytes;
    const hasRoom = end <= this.#room.end && (this.#machine.bytes.length >= end || this.#machine.resize(end) !== 0);
    if (!hasRoom) {
      throw new Error(
        "there is no room for another library in this server; name the extension at its start (--extension)",
      );
    }
    this.#used = end;
    return base;
  }

  #nameOf(library: number): string {
    const { bytes } = this.#machine;
    const start = library + nameOffset;
    return Buffer.from(bytes.slice(start, bytes.indexOf(0, start))).toString("utf8");
  }

  #fail(sentence: string): 0 {
    const text = new TextEncoder().encode(`${sentence}\0`);
    const address = this.#machine.function("malloc")(text.length);
    this.#machine.write(address, text);
    this.#machine.function("__dl_seterr")(address, 0);
    return 0;
  }
}

interface Address {
  readonly value: number;
}

/** A library exports its variables as immutable globals. */
function isAddress(value: unknown): value is Address {
  if (!(value instanceof webAssembly.Global)) return false;
  const global = value as { value: number };
  try {
    const { value: same } = global;
    global.value = same;
    return false;
  } catch {
    return true;
  }
}

function shift({ value }: Address, by: number): Address {
  return new webAssembly.Global({ value: "i32" }, value + by) as Address;
}

/** How much memory a library wants for its data: `dylink.0` has it first (tool-conventions, DynamicLinking.md). */
function memoryOf(module: CompiledModule): number {
  const [section] = webAssembly.Module.customSections(module, "dylink.0");
  const bytes = new Uint8Array(section!);
  if (bytes[0] !== memoryInfo) throw new Error("the library does not say first how much memory it wants");
  let size = 0;
  // The type and the length of this part, a byte each, precede it.
  for (let at = 2, factor = 1; ; at++, factor *= 128) {
    size += (bytes[at]! & 127) * factor;
    if (bytes[at]! < 128) return size;
  }
}
