/**
 * PGlite's memory as memory that two threads see.
 *
 * Owns: wrapping the constructors of `WebAssembly` in this thread, so that PGlite's memories are shared and what is loaded
 * fits them. Does not own: the edit of a module (`wasm/imports.ts`), what an instance is given beside its memory (`../engine/thread/shared.ts`,
 * `instantiate.ts`), what other threads do with the memory (the watchdog).
 * Invariant: only the engine thread imports this. What is wrapped stays so for its life, because PostgreSQL loads side
 * modules (`plpgsql.so` …) later, and they import the memory too. A module that imports no memory is as it was.
 */
import { shareMemoryImport } from "./wasm/imports.ts";
import { type CompiledModule, type Imports, type WasmInstance, webAssembly } from "./wasm/web-assembly.ts";

// Engine: the maximum of every memory of PGlite's, in pages of 64 KiB; nothing else's has it. A change fails at boot.
const pgliteMemoryPages = 32_768;

/** What differs between one session for all and many. */
interface Instantiation {
  /** What else is changed in a module's bytes, whose memory import is shared already. */
  edit?(bytes: Uint8Array): Uint8Array;
  /** Instantiates a module; its memory import is shared. */
  instantiate(source: CompiledModule | Uint8Array, imports: Imports | undefined): Promise<unknown>;
  /** The imports of a side module, from those that Emscripten's linker has for it. */
  link(imports: Imports): Imports;
  /** Makes an instance of a side module with linked imports. */
  make?(module: CompiledModule, imports: Imports): WasmInstance;
}

/** `WebAssembly` as it was before it was wrapped. */
export const original = { ...wrapped() };

/** From now on this thread's PGlite memories are shared, and the imports of their modules fit them. */
export function shareMemories({ instantiate, link, make, edit = (bytes) => bytes }: Instantiation): void {
  const makeInstance = make ?? ((module, imports) => new original.Instance(module, imports));
  const edited = (source: unknown) => edit(shareMemoryImport(bytesOf(source)));
  webAssembly.Memory = new Proxy(original.Memory, {
    construct: (target, [descriptor]) =>
      new target(descriptor.maximum === pgliteMemoryPages ? { ...descriptor, shared: true } : descriptor),
  });
  webAssembly.Module = new Proxy(original.Module, {
    construct: (target, [source]) => new target(edited(source)),
  });
  webAssembly.Instance = new Proxy(original.Instance, {
    construct: (target, [module, imports]) =>
      imports ? makeInstance(module, link(imports)) : new target(module, imports),
  });
  webAssembly.compile = (source) => original.compile.call(webAssembly, edited(source));
  webAssembly.instantiate = async (source, imports) => {
    const isModule = source instanceof original.Module;
    return instantiate(isModule ? (source as CompiledModule) : edited(source), imports);
  };
}

function wrapped() {
  const { Memory, Module, Instance, compile, instantiate } = webAssembly;
  return { Memory, Module, Instance, compile, instantiate };
}

function bytesOf(source: unknown): Uint8Array {
  if (ArrayBuffer.isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  return new Uint8Array(source as ArrayBuffer);
}
