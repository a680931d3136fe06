/**
 * The JavaScript API of WebAssembly as far as the engine uses it. TypeScript knows it only with the browser's library.
 *
 * Owns: the types, and the one cast. Mirrors: the WebAssembly JavaScript interface and its JS Promise Integration.
 */

/** A compiled module. */
export interface CompiledModule {
  readonly [compiled]: true;
}
declare const compiled: unique symbol;

/** An exported function; numbers in, a number or nothing out. */
export type WasmFunction = (...values: number[]) => number;

/** A function table. */
export interface WasmTable {
  readonly length: number;
  get(index: number): WasmFunction | null;
  set(index: number, value: unknown): void;
  grow(count: number): number;
}

/** A linear memory; `buffer` is another object after it has grown. */
export interface WasmMemory {
  readonly buffer: SharedArrayBuffer;
  /** By so many pages of 64 KiB. Throws RangeError where that cannot be. */
  grow(pages: number): number;
}

/** What a module is instantiated with. */
export type Imports = Record<string, Record<string, unknown>>;

/** What an instance offers. */
export type Exports = Record<string, unknown>;

/** An instance of a module. */
export interface WasmInstance {
  readonly exports: Exports;
}

interface WebAssemblyApi {
  Memory: new (descriptor: { initial: number; maximum?: number; shared?: boolean }) => WasmMemory;
  Table: new (descriptor: { element: "anyfunc"; initial: number }) => WasmTable;
  Global: new (descriptor: { value: "i32"; mutable?: boolean }, value?: number) => { value: number };
  Tag: new (type: { parameters: string[] }) => object;
  Module: (new (
    bytes: Uint8Array,
  ) => CompiledModule) & {
    customSections(module: CompiledModule, name: string): ArrayBuffer[];
  };
  Instance: new (module: CompiledModule, imports: Imports) => WasmInstance;
  /** Makes a JavaScript function that parks the WebAssembly stack until its promise is settled. Node ≥ 24. */
  Suspending?: new (
    fn: (...values: number[]) => Promise<number>,
  ) => object;
  /** Makes an exported function that may be parked: it answers with a promise. Node ≥ 24. */
  promising?: (fn: WasmFunction) => (...values: number[]) => Promise<number>;
  compile(bytes: Uint8Array): Promise<CompiledModule>;
  instantiate(source: unknown, imports?: Imports): Promise<unknown>;
  validate(bytes: Uint8Array): boolean;
}

/** The global `WebAssembly`; its members are writable, which `../shared-memory.ts` uses. */
export const { WebAssembly: webAssembly } = globalThis as unknown as { WebAssembly: WebAssemblyApi };

/** Whether this Node can park a WebAssembly stack. */
export function canPark(): boolean {
  return webAssembly.Suspending !== undefined && webAssembly.promising !== undefined;
}

/** An exported function as one that may be parked. Throws on a Node that cannot. */
export function promising(fn: WasmFunction): (...values: number[]) => Promise<number> {
  if (!webAssembly.promising) throw new Error("this Node cannot park WebAssembly stacks (WebAssembly.promising)");
  return webAssembly.promising(fn);
}
