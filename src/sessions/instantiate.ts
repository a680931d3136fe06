/**
 * Putting the rewritten module and the trampolines under PGlite without changing PGlite.
 *
 * Owns: what instances of the rewritten module, and of the side modules that are linked to them, are given. Does not own:
 * the memory and the wrapping of `WebAssembly` (`shared-memory.ts`), the rewrite, PGlite's options (`boot.ts`).
 * Invariant: only instances of PGlite's modules are touched: the rewritten main module, and side modules on its memory.
 */

import { tracked, trackWrites } from "./import-writes.ts";
import { Machine, type MachineCalls } from "./machine.ts";
import { refuseMissingFunctions } from "./missing-functions.ts";
import { loadMarked } from "./module/module-cache.ts";
import { compileParser } from "./module/tier-up.ts";
import { bridges, isTrampoline, type TrampolineSlots, trampolines } from "./module/trampolines.ts";
import { hookImport } from "./rewrite/hooks.ts";
import { marksImport } from "./rewrite/mark-writes.ts";
import { type Located, tableImport } from "./rewrite/postgres.ts";
import { original, shareMemories } from "./shared-memory.ts";
import { type CompiledModule, type Imports, type WasmInstance, webAssembly } from "./wasm/web-assembly.ts";

/** Held weakly, like all here: the machine that ran initdb goes when PGlite lets go of it. */
const machines = new Set<WeakRef<Machine>>();
const rewritten = new WeakMap<CompiledModule, MachineOptions>();
/** The machines by their memory, with what makes their trampolines, for the side modules that are linked to them. */
const mainModules = new WeakMap<object, { machine: Machine; trampoline: (field: string) => unknown }>();

/** What a machine is made with. */
interface MachineOptions {
  readonly located: Located;
  /** What a machine does until somebody takes over. */
  readonly calls: (machine: Machine) => MachineCalls;
  /** Whether its libraries are to be linked as another machine's were. */
  readonly replaysLibraries?: boolean;
}

/** From now on instances of `module` are machines. */
export function instantiateAsMachine(module: CompiledModule, options: MachineOptions): void {
  rewritten.set(module, options);
  shareMemories({ instantiate, link: linkLibrary, make: makeLibrary, edit: loadMarked });
}

/** The machine whose memory these bytes (PGlite's view) are. */
export function machineOf(bytes: Uint8Array): Machine {
  for (const reference of machines) {
    const machine = reference.deref();
    if (!machine) machines.delete(reference);
    else if (isMemoryOf(machine, bytes)) return machine;
  }
  throw new Error("PGlite did not instantiate the rewritten module");
}

/** Engine: V8 makes several objects for one shared memory, so that only its contents tell whether it is the same. */
export function isMemoryOf(machine: Machine, bytes: Uint8Array): boolean {
  // An address below the module's data, which starts at 1024.
  const unused = 16;
  const before = bytes[unused]!;
  bytes[unused] = before ^ 0xff;
  const same = machine.bytes[unused] === (before ^ 0xff);
  bytes[unused] = before;
  return same;
}

async function instantiate(source: CompiledModule | Uint8Array, imports?: Imports): Promise<unknown> {
  const known = rewritten.get(source as CompiledModule);
  if (known && imports) return instantiateMain(source as CompiledModule, imports, known);
  return original.instantiate.call(webAssembly, source, imports && linkLibrary(imports));
}

async function instantiateMain(
  module: CompiledModule,
  imports: Imports,
  { located: { tableSize }, calls, replaysLibraries = false }: MachineOptions,
): Promise<WasmInstance> {
  const env = { ...imports.env };
  const memory = env.memory as Machine["memory"];
  const slots = { getStack: tableSize, setStack: tableSize + 1, setThrew: tableSize + 2 };
  const bridgeSlot = tableSize + 3;
  const table = new webAssembly.Table({ element: "anyfunc", initial: tableSize + 5 });
  const machine = new Machine(memory, table, { hook: (_, second) => second, read: () => 0, write: () => 0 });
  machine.calls = calls(machine);
  machines.add(new WeakRef(machine));

  const tag = new webAssembly.Tag({ parameters: [] });
  const supplied = Object.keys(env).filter(isTrampoline);
  Object.assign(env, instantiateNow(trampolines(supplied, slots), { host: { table, tag } }));
  const bridged = instantiateNow(bridges({ hook: 3, read: 2, write: 2 }), { host: machine.bridgeImports() });
  mainModules.set(memory, { machine, trampoline: trampolineMaker(env, table, tag, slots) });

  Object.assign(env, {
    [hookImport]: bridged.hook,
    [tableImport.field]: table,
    [marksImport.field]: machine.written.memory,
  });
  const exit = env.exit as (status: number) => never;
  env.exit = (status: number) => (machine.calls.exit ?? exit)(status);
  machine.libraries.record(env);
  machine.pipe = env.__syscall_pipe2 as Machine["pipe"];
  machine.bundled.offer(env);
  keepShared(env, machine);
  const clock = machine.clock.imports(() => machine.words);
  Object.assign(env, clock.env);
  const resize = env.emscripten_resize_heap as (bytes: number) => number;
  machine.resize = (bytes) => {
    const hasGrown = resize(bytes);
    machine.hasGrown();
    return hasGrown;
  };
  env.emscripten_resize_heap = machine.resize;
  // Engine: PGlite's timers run PostgreSQL's signal handler in whichever session is loaded; the scheduler has a clock.
  env._setitimer_js = () => 0;

  const isOurs = (field: string) => supplied.includes(field) || field === hookImport;
  const linked = {
    ...imports,
    env: trackWrites(env, machine, isOurs),
    wasi_snapshot_preview1: trackWrites(
      { ...imports.wasi_snapshot_preview1, ...clock.wasi_snapshot_preview1, random_get: seedable(imports, machine) },
      machine,
      isOurs,
    ),
  };
  const instance = (await original.instantiate.call(webAssembly, module, linked)) as WasmInstance;
  compileParser(instance.exports);
  machine.exports = instance.exports;
  table.set(slots.getStack, instance.exports.emscripten_stack_get_current);
  table.set(slots.setStack, instance.exports._emscripten_stack_restore);
  table.set(slots.setThrew, instance.exports.setThrew);
  table.set(bridgeSlot, bridged.read);
  table.set(bridgeSlot + 1, bridged.write);
  machine.bridgeSlots = { read: bridgeSlot, write: bridgeSlot + 1 };
  return replaysLibraries ? withAllocations(instance, machine) : instance;
}

/**
 * The same instance, whose `calloc` gives a library the address that it had. It is WebAssembly as the one that it stands for:
 * emscripten's linker puts what is exported into the table.
 */
function withAllocations(instance: WasmInstance, machine: Machine): WasmInstance {
  const calloc = instance.exports.calloc as (count: number, size: number) => number;
  const allocate = (count: number, size: number) => machine.libraries.allocate() ?? calloc(count, size);
  const made = instantiateNow(bridges({ calloc: 2 }), { host: { calloc: allocate, wait: () => 0 } });
  return { exports: { ...instance.exports, calloc: made.calloc } } as WasmInstance;
}

/** `random_get`, which draws from a seed where there is one. */
function seedable({ wasi_snapshot_preview1: wasi }: Imports, machine: Machine): unknown {
  const random = wasi!.random_get as (address: number, length: number) => number;
  return (address: number, length: number): number => {
    const drawn = machine.random.draw(length >>> 0);
    if (!drawn) return random(address, length);
    machine.bytes.set(drawn, address >>> 0);
    return 0;
  };
}

/** emscripten's error numbers are WASI's. */
const noSpace = -51;

/**
 * Keeps what processes share in an operating system: a library that is loaded late is there for all, and dynamic shared memory
 * outside `min_dynamic_shared_memory` is refused once sessions run (emscripten maps a copy).
 */
function keepShared(env: Record<string, unknown>, machine: Machine): void {
  const load = env._dlopen_js as (library: number) => number;
  env._dlopen_js = (library: number) => machine.lateLibraries?.open(library, load) ?? load(library);
  const open = env.__syscall_openat as (...values: number[]) => number;
  env.__syscall_openat = (directory: number, path: number, ...rest: number[]) => {
    const isSharedMemory = machine.calls.exit && machine.startsWith(path, "/dev/shm/PostgreSQL.");
    return isSharedMemory ? noSpace : open(directory, path, ...rest);
  };
}

/** Makes the trampolines that the main module does not have itself, when a side module asks for one. */
function trampolineMaker(env: Record<string, unknown>, table: unknown, tag: object, slots: TrampolineSlots) {
  const made: Record<string, unknown> = {};
  return (field: string) => {
    if (env[field]) return env[field];
    made[field] ??= instantiateNow(trampolines([field], slots), { host: { table, tag } })[field];
    return made[field];
  };
}

function instantiateNow(bytes: Uint8Array, imports: Record<string, unknown>): Record<string, unknown> {
  return new original.Instance(new original.Module(bytes), imports as Imports).exports;
}

function makeLibrary(module: CompiledModule, imports: Imports): WasmInstance {
  const { lateLibraries } = mainModules.get(imports.env?.memory as object)?.machine ?? {};
  return lateLibraries?.instantiate(module, imports) ?? new original.Instance(module, imports);
}

/** Engine: emscripten's linker hands a side module a proxy as `env`, which would make JavaScript trampolines. */
function linkLibrary(imports: Imports): Imports {
  const { env } = imports;
  if (!env) return imports;
  const main = mainModules.get(env.memory as object);
  if (!main) return imports;
  const { machine } = main;
  const clock = machine.clock.imports(() => machine.words);
  machine.libraries.instantiated(env.__memory_base as number);
  const linked = new Proxy(env, {
    get: (target, name) => {
      const field = name as string;
      if (field === marksImport.field) return machine.written.memory;
      if (isTrampoline(field)) return main.trampoline(field);
      const value = clock.env![field] ?? target[field];
      const isForeign = typeof value === "function" && machine.exports[field] === undefined;
      return isForeign ? tracked(field, value as (...values: number[]) => unknown, machine) : value;
    },
  });
  return {
    ...imports,
    env: refuseMissingFunctions(linked, () => machine),
  };
}
