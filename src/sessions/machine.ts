/**
 * The one WebAssembly instance that PostgreSQL runs on: its memory, table and exports, and its calls out.
 *
 * Owns: views of the memory (which grows through `resize` only), the callbacks of the rewritten module, calling exports. Does not own: which
 * session's memory is loaded (`image.ts`), who runs (`scheduler.ts`).
 * Invariant: a callback of the machine belongs to the session that is loaded; only one session runs at a time.
 */

import type { AccessRules } from "./access-rules.ts";
import { BundledExtensions } from "./bundled-extensions.ts";
import { Clock } from "./clock.ts";
import { Footprints } from "./footprints.ts";
import { LinkedLibraries } from "./linked-libraries.ts";
import { mustWait } from "./module/trampolines.ts";
import { RandomSource } from "./random-source.ts";
import {
  type CompiledModule,
  type Exports,
  type Imports,
  promising,
  type WasmFunction,
  type WasmInstance,
  type WasmMemory,
  type WasmTable,
  webAssembly,
} from "./wasm/web-assembly.ts";
import { WriteMarks } from "./write-marks.ts";

/** What the machine calls. Each answers at once, or with a promise: then the stack is parked until it is settled. */
export interface MachineCalls {
  /** A hook of the rewritten module; see `Hook`. */
  hook(first: number, second: number, kind: number): number | Promise<number>;
  /** Fills `length` bytes at `address` with input; answers how many, 0 at the end. */
  read(address: number, length: number): number | Promise<number>;
  /** Takes `length` bytes of output at `address`; answers how many. */
  write(address: number, length: number): number | Promise<number>;
  /** C's `exit`: must throw. Absent while PGlite boots: then PGlite's own is called. */
  exit?(status: number): never;
}

/** Loading a library while sessions run. */
interface LateLinker {
  open(library: number, dlopen: (library: number) => number): number;
  instantiate(module: CompiledModule, imports: Imports): WasmInstance;
}

/** The machine; made while PGlite instantiates its module, see `instantiate.ts`. */
export class Machine {
  readonly memory: WasmMemory;
  readonly table: WasmTable;
  /** What has been written to; JavaScript writes with `write` and `setWord`, which mark it. */
  readonly written = new WriteMarks();
  /** What sessions read, write and lock. */
  readonly footprints = new Footprints(this);
  /** What its linker has done. */
  readonly libraries = new LinkedLibraries(this);
  /** What PostgreSQL takes for the time. */
  readonly clock = new Clock();
  /** Where it gets random numbers from. */
  readonly random = new RandomSource(() => this.words[this.address("MyProcPid") >> 2]!);
  /** Set once, when the instance exists. */
  exports: Exports = {};
  /** emscripten's `pipe2(fds, flags)`, for who makes the streams of a process again. */
  pipe: (fds: number, flags: number) => number = () => -1;
  /** Slots of the table that hold `read` and `write`, for `pgl_set_rw_cbs`. */
  bridgeSlots = { read: 0, write: 0 };
  /** emscripten's `emscripten_resize_heap`: makes the memory so many bytes, at least; 0 if it cannot. */
  resize: (bytes: number) => number = () => 0;
  /** The extensions that PGlite ships. */
  readonly bundled = new BundledExtensions(() => this.bytes);
  /** Loads libraries, from the fork on: before, one is loaded for all. */
  lateLibraries: LateLinker | undefined;
  /** What the processes that are forked have of pg_hba.conf. */
  accessRules: AccessRules | undefined;
  /** Replaced when the sessions take over from PGlite's own boot. */
  calls: MachineCalls;
  #waiting: Promise<number> | undefined;
  #views: { bytes: Uint8Array; words: Uint32Array; ints: Int32Array } | undefined;

  constructor(memory: WasmMemory, table: WasmTable, calls: MachineCalls) {
    this.memory = memory;
    this.table = table;
    this.calls = calls;
  }

  get bytes(): Uint8Array {
    return this.#currentViews().bytes;
  }

  /** The memory as 32-bit words; an address is divided by 4 (`>> 2`). */
  get words(): Uint32Array {
    return this.#currentViews().words;
  }

  /** The same words for `Atomics`. */
  get ints(): Int32Array {
    return this.#currentViews().ints;
  }

  /** The address of an exported variable. */
  address(variable: string): number {
    const found = this.exports[variable] as { value?: unknown } | undefined;
    if (typeof found?.value !== "number")
      throw new Error(`this PGlite does not export PostgreSQL's variable ${variable}`);
    return found.value;
  }

  write(address: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, address);
    this.written.add(address, bytes.length);
  }

  /** Writes a 32-bit word at an address, which is a multiple of 4. */
  setWord(address: number, value: number): void {
    this.words[address >> 2] = value;
    this.written.add(address, 4);
  }

  function(name: string): WasmFunction {
    const found = this.exports[name];
    if (typeof found !== "function") throw new Error(`this PGlite does not export PostgreSQL's function ${name}`);
    return found as WasmFunction;
  }

  /** Whether the C string at an address begins so. */
  startsWith(address: number, start: string): boolean {
    const { bytes } = this;
    for (let at = 0; at < start.length; at++) if (bytes[address + at] !== start.charCodeAt(at)) return false;
    return true;
  }

  /** An exported function as one that may be parked. */
  promising(name: string): (...values: number[]) => Promise<number> {
    return promising(this.function(name));
  }

  /** The imports of the bridged functions; see `bridges`. */
  bridgeImports(): Record<string, unknown> {
    const answer = (result: number | Promise<number>): number => {
      if (typeof result === "number") return result;
      this.#waiting = result;
      return mustWait;
    };
    const wait = () => {
      const waiting = this.#waiting as Promise<number>;
      this.#waiting = undefined;
      return waiting;
    };
    return {
      hook: (first: number, second: number, kind: number) => answer(this.calls.hook(first, second, kind)),
      read: (address: number, length: number) => answer(this.calls.read(address, length)),
      write: (address: number, length: number) => answer(this.calls.write(address, length)),
      // Without it (Node 22 and older) the shared mode still runs: nothing answers with a promise there.
      wait: webAssembly.Suspending ? new webAssembly.Suspending(wait) : wait,
    };
  }

  /** The memory has grown: to be told, since asking V8 for a shared memory's buffer takes longer than to use it. */
  hasGrown(): void {
    this.#views = undefined;
  }

  #currentViews() {
    if (this.#views) return this.#views;
    const { buffer } = this.memory;
    this.#views = { bytes: new Uint8Array(buffer), words: new Uint32Array(buffer), ints: new Int32Array(buffer) };
    return this.#views;
  }
}
