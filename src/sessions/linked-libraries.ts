/**
 * What the dynamic linker was asked for while PostgreSQL started, and doing the same again.
 *
 * Owns: the record, and the replay on a machine without PostgreSQL. Does not own: the linker, which is emscripten's.
 * Why: a library's functions get the next free slots of the table and its data what `calloc` answers, and PostgreSQL keeps
 * both in its memory. The same steps in the same order come to the same slots; the data is given the addresses that it had.
 * Invariant: a replay that comes to anything else throws.
 */
import assert from "node:assert/strict";
import { webAssembly } from "./wasm/web-assembly.ts";

/** Offsets in emscripten's `struct dso` (ldso): the bytes of the library, if they are in memory, and its name. */
const dsoData = 28;
const dsoDataLength = 32;
const dsoName = 36;

/** A step of the linker; `slots` is how many the table has behind it. */
export type LinkStep =
  /** `_dlopen_js(handle)`: the record at that address, in hexadecimal, and where the data of what it loaded lies. */
  | {
      readonly kind: "open";
      readonly handle: number;
      readonly record: string;
      readonly data: readonly number[];
      readonly slots: number;
    }
  /** `_dlsym_js(handle, name, index)`. */
  | {
      readonly kind: "symbol";
      readonly handle: number;
      readonly nameAt: number;
      readonly name: string;
      readonly indexAt: number;
      readonly found: number;
      readonly slots: number;
    }
  /** The program that stands for those of COPY was set. */
  | { readonly kind: "noCommands"; readonly slots: number };

/** The machine that libraries are linked to. */
interface LinkedMachine {
  readonly bytes: Uint8Array;
  readonly table: { readonly length: number };
}

type Open = (handle: number) => number;
type Find = (handle: number, name: number, index: number) => number;

/** See the head of the file. */
export class LinkedLibraries {
  readonly steps: LinkStep[] = [];
  /** Why the record does not have all; undefined if it has. */
  missing: string | undefined;
  readonly #machine: LinkedMachine;
  #open: Open = () => 0;
  #find: Find = () => 0;
  /** Where the data of the libraries lies that the present step has loaded. */
  #data: number[] | undefined;
  /** How many symbols the linker has resolved. */
  #symbols = 0;
  /** By handle, which library the linker takes it for: processes have theirs at the same addresses. */
  readonly #opened = new Map<number, string>();
  /** While steps are replayed: where the data of the next ones was. */
  #replayed: number[] | undefined;

  constructor(machine: LinkedMachine) {
    this.#machine = machine;
  }

  /** Puts the record between PostgreSQL and the linker. */
  record(env: Record<string, unknown>): void {
    const open = env._dlopen_js as Open;
    this.#open = (handle) => {
      const opened = this.#resolvingNew(() => open(handle));
      if (opened !== 0) this.#opened.set(handle, this.#nameOf(handle));
      return opened;
    };
    this.#find = env._dlsym_js as Find;
    env._dlopen_js = (handle: number) => this.#recordOpen(handle);
    env._dlsym_js = (handle: number, name: number, index: number) => this.#recordFind(handle, name, index);
  }

  /** A library is instantiated, and its data begins there; 0 if it has none. */
  instantiated(data: number): void {
    if (data === 0 || this.#replayed) return;
    if (this.#data) this.#data.push(data);
    else this.missing = "a library was loaded by itself";
  }

  /** `calloc`, as the linker calls it: the address that it answered then, or undefined. */
  allocate(): number | undefined {
    return this.#replayed?.shift();
  }

  noCommands(): void {
    this.steps.push({ kind: "noCommands", slots: this.#slots });
  }

  /** Does again what another machine did. Throws where that comes to anything else. */
  replay(steps: readonly LinkStep[], refuseCommands: () => void): void {
    const machine = this.#machine;
    for (const step of steps) {
      if (step.kind === "open") {
        machine.bytes.set(Buffer.from(step.record, "hex"), step.handle);
        this.#replayed = [...step.data];
        assert(this.#open(step.handle) !== 0, "a library that was loaded once is loaded again");
        assert(this.#replayed.length === 0, "a library has data as it had");
        this.#replayed = undefined;
      } else if (step.kind === "symbol") {
        machine.bytes.set(Buffer.from(`${step.name}\0`, "latin1"), step.nameAt);
        const found = this.#find(step.handle, step.nameAt, step.indexAt);
        assert(found === step.found, "a library's function is where it was");
      } else refuseCommands();
      assert(this.#slots === step.slots, "the table has as many slots as it had");
      this.steps.push(step);
    }
  }

  get #slots(): number {
    return this.#machine.table.length;
  }

  #recordOpen(handle: number): number {
    const record = Buffer.from(this.#machine.bytes.slice(handle, this.#endOfText(handle + dsoName)));
    // The replay reads the file.
    for (const at of [dsoData, dsoDataLength]) record.writeUInt32LE(0, at);
    this.#data = [];
    const opened = this.#open(handle);
    const data = this.#data;
    this.#data = undefined;
    if (opened !== 0)
      this.steps.push({ kind: "open", handle, record: record.toString("hex"), data, slots: this.#slots });
    else this.missing ??= "a library could not be loaded";
    return opened;
  }

  #recordFind(handle: number, nameAt: number, indexAt: number): number {
    const library = this.#opened.get(handle);
    // Another process has opened another one since, under the same handle: it is opened once more, which finds it loaded.
    if (library !== undefined && library !== this.#nameOf(handle)) this.#open(handle);
    const text = this.#machine.bytes.slice(nameAt, this.#endOfText(nameAt) - 1);
    const found = this.#find(handle, nameAt, indexAt);
    const name = Buffer.from(text).toString("latin1");
    // What is not found changes nothing.
    if (found !== 0) this.steps.push({ kind: "symbol", handle, nameAt, name, indexAt, found, slots: this.#slots });
    return found;
  }

  /**
   * Engine: behind each library the linker looks through all symbols, 8,000, for those that are not resolved; it asks
   * `Object.entries` for them. Those that were there before it have been.
   */
  #resolvingNew<T>(link: () => T): T {
    const { entries } = Object;
    Object.entries = (object: Readonly<Record<string, unknown>>): [string, unknown][] => {
      const names = Object.keys(object);
      if (!(object[names[0]!] instanceof webAssembly.Global)) return entries(object);
      const added = names.slice(this.#symbols);
      this.#symbols = names.length;
      return added.map((name) => [name, object[name]]);
    };
    try {
      return link();
    } finally {
      Object.entries = entries;
    }
  }

  #nameOf(handle: number): string {
    const start = handle + dsoName;
    return Buffer.from(this.#machine.bytes.slice(start, this.#endOfText(start) - 1)).toString("latin1");
  }

  /** Behind the C string at an address. */
  #endOfText(address: number): number {
    return this.#machine.bytes.indexOf(0, address) + 1;
  }
}
