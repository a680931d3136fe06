/**
 * A module's code as V8 has compiled and optimized it, as bytes.
 *
 * Owns: V8's functions that write and read it, the V8s that they are known of, what such code depends on. Does not own: the
 * file that it is kept in (`code-cache.ts`), V8's flags (`tier-up.ts`, `../native-stack.ts`).
 * Invariant: V8 reads only what the same V8 has written, with the same flags, on a processor with the same features, of the
 * same module: everything else answers undefined, and nobody tries.
 *
 * Engine: `%SerializeWasmModule` and `%DeserializeWasmModule` are V8's natives for its own tests. Functions that have not been
 * optimized are not in the bytes; they are compiled at their first call, as ever. V8's header has its version, flags and the
 * processor's features, but not whether out-of-bounds accesses are left to a trap handler, which Node decides.
 */
import { cachedDataVersionTag, setFlagsFromString } from "node:v8";
import { type CompiledModule, webAssembly } from "../wasm/web-assembly.ts";

/** The versions of V8 (Node 24) that are tested to read back what they wrote. That of Node 26 has no such natives any more. */
const testedVersions = /^13\.6\./;

/**
 * What code depends on beside its module: a text that is equal only where it can be used. Undefined where V8 is not known to
 * write and read it. V8's flags are in it: to be asked for when they are as they will be.
 */
export function codeEnvironment(v8 = process.versions.v8): string | undefined {
  if (!testedVersions.test(v8)) return undefined;
  const hasTrapHandler = withNatives("", "%IsWasmTrapHandlerEnabled()", (ask) => ask());
  if (typeof hasTrapHandler !== "boolean") return undefined;
  // V8's tag is a hash of its version, its flags and the processor's features.
  const parts = [v8, process.version, process.platform, process.arch, cachedDataVersionTag(), hasTrapHandler];
  return parts.join(" ");
}

/**
 * The code of `module` as it is now. Undefined if V8 will not say. Takes some 20 ms for 7 MB. `small` is any small function that
 * an instance of it exports. It is optimized before: V8 ends the process if it is to write a module that has no such function.
 */
export function writeCode(module: CompiledModule, small: unknown): Uint8Array<ArrayBuffer> | undefined {
  if (!(module instanceof webAssembly.Module) || !isWasmFunction(small)) return undefined;
  const isOptimized = "(%WasmTierUpFunction(small), %IsTurboFanFunction(small))";
  if (withNatives("small", isOptimized, (ask) => ask(small)) !== true) return undefined;
  const code = withNatives("module", "%SerializeWasmModule(module)", (write) => write(module));
  return code instanceof ArrayBuffer ? new Uint8Array(code) : undefined;
}

/** The natives take nothing else; a table refuses it. */
function isWasmFunction(value: unknown): boolean {
  try {
    new webAssembly.Table({ element: "anyfunc", initial: 1 }).set(0, value);
    return typeof value === "function";
  } catch {
    return false;
  }
}

/** The module with these bytes and this code, which is given back to the system. Undefined if V8 does not take it. */
export function readCode(code: Uint8Array<ArrayBuffer>, bytes: Uint8Array): CompiledModule | undefined {
  if (code.byteOffset !== 0 || code.length !== code.buffer.byteLength) return undefined;
  const module = withNatives("code, bytes", "%DeserializeWasmModule(code, bytes)", (read) => read(code.buffer, bytes));
  code.buffer.transfer(0);
  return module instanceof webAssembly.Module ? (module as CompiledModule) : undefined;
}

/**
 * What `use` answers, given a function that runs one of V8's natives, for which V8 has to have the flag when it is parsed and
 * called. The flag is the process's: other threads could use natives for these milliseconds. Undefined if there is no such
 * native, it throws, or this process makes no code from strings.
 */
function withNatives(
  parameters: string,
  expression: string,
  use: (native: (...values: unknown[]) => unknown) => unknown,
): unknown {
  const wasOn = hasNatives();
  if (!wasOn) setFlagsFromString("--allow-natives-syntax");
  try {
    const native = parse(parameters, expression);
    return native && use(native);
  } catch {
    // There is no memory for it, say.
    return undefined;
  } finally {
    if (!wasOn) setFlagsFromString("--no-allow-natives-syntax");
  }
}

let probes = 0;

/** Whether they are on already. V8 remembers what it has parsed, with the flag or without: each probe is another text. */
function hasNatives(): boolean {
  probes++;
  return parse("", `%IsWasmTrapHandlerEnabled() /* ${probes} */`) !== undefined;
}

function parse(parameters: string, expression: string): ((...values: unknown[]) => unknown) | undefined {
  try {
    return new Function(parameters, `return ${expression}`) as (...values: unknown[]) => unknown;
  } catch {
    return undefined;
  }
}
