/**
 * Finding PostgreSQL's internal functions in a binary that has no names for them.
 *
 * Owns: the search. Does not own: what is searched for (`postgres.ts`).
 * How: PostgreSQL reports errors with `__func__`, so a function that can fail holds the address of its own name as a
 * constant. The linker shares equal strings, so one address is enough to look for.
 * Invariant: exactly one hit, or an error that names the pattern; nothing is ever guessed.
 */
import { unsigned } from "../wasm/bytes.ts";
import { type Instruction, instructions, Op } from "../wasm/instructions.ts";
import type { WasmModule } from "../wasm/module.ts";

/** PGlite's constant data ends below this address, as linked today; what lies above is not found. */
const constantDataLimit = 4 << 20;

/** An operation code, with any operand or with this one. */
type Pattern = number | { readonly op: number; readonly operand: number };

/** A search over one module. */
export class Locator {
  readonly module: WasmModule;
  readonly #memory: Uint8Array;
  readonly #text: string;

  constructor(module: WasmModule) {
    this.module = module;
    this.#memory = module.constantMemory(constantDataLimit);
    this.#text = Buffer.from(this.#memory.buffer).toString("latin1");
  }

  /** The one function that refers to all of these strings. */
  functionByStrings(...strings: string[]): number {
    let hits: number[] | undefined;
    for (const string of strings) {
      const found = this.#addressesOf(string).flatMap((address) => this.#functionsReferringTo(address));
      hits = hits ? hits.filter((index) => found.includes(index)) : found;
    }
    return only(
      hits ?? [],
      `a function that refers to ${strings.map((string) => JSON.stringify(string)).join(" and ")}`,
    );
  }

  #functionsReferringTo(address: number): number[] {
    return this.#functionsWith(Buffer.from(constant(address))).filter((index) => this.#holdsConstant(index, address));
  }

  /** The functions that call this one. */
  functionsCalling(callee: number): number[] {
    const needle = Buffer.from([Op.call, ...unsigned(callee)]);
    return this.#functionsWith(needle).filter((index) => this.calls(index).includes(callee));
  }

  /** The instructions of a function. */
  code(index: number): Instruction[] {
    const body = this.module.body(index);
    return [...instructions(body, 0, body.length)];
  }

  /** The operand of instruction `pick` of the one sequence `ops` in a function. */
  operandOf(index: number, ops: readonly Pattern[], what: string, pick = 0): number {
    const code = this.code(index);
    const starts = [...code.keys()].filter((at) => this.matches(code, at, ops));
    return only([...new Set(starts.map((at) => code[at + pick]?.operand ?? 0))], what);
  }

  /** Whether the instructions from `at` on are `ops`. */
  matches(code: readonly Instruction[], at: number, ops: readonly Pattern[]): boolean {
    return ops.every((wanted, step) => {
      const found = code[at + step];
      if (typeof wanted === "number") return found?.op === wanted;
      return found?.op === wanted.op && found.operand === wanted.operand;
    });
  }

  /** The functions called by a function, in order. */
  calls(index: number): number[] {
    return this.code(index)
      .filter(({ op }) => op === Op.call)
      .map(({ operand }) => operand);
  }

  /** Where the string is: also as the end of a longer one, with which the linker shares it. */
  #addressesOf(string: string): number[] {
    const addresses: number[] = [];
    for (let at = this.#text.indexOf(`${string}\0`); at >= 0; at = this.#text.indexOf(`${string}\0`, at + 1)) {
      addresses.push(at);
    }
    if (addresses.length === 0) throw new Error(`PGlite's WebAssembly has no string ${JSON.stringify(string)}`);
    return addresses;
  }

  /** The functions with these bytes, which may lie across instructions: they only say where to look properly. */
  #functionsWith(needle: Buffer): number[] {
    const { bodies, importedFunctions } = this.module;
    return bodies.flatMap((body, at) => {
      const view = Buffer.from(body.buffer, body.byteOffset, body.length);
      return view.includes(needle) ? [at + importedFunctions] : [];
    });
  }

  #holdsConstant(index: number, address: number): boolean {
    return this.code(index).some(({ op, operand }) => op === Op.i32Const && operand === address);
  }
}

function constant(address: number): number[] {
  const bytes: number[] = [Op.i32Const];
  for (let rest = address; ; rest >>= 7) {
    if (rest < 0x40) return [...bytes, rest];
    bytes.push((rest & 0x7f) | 0x80);
  }
}

/** The only one, or an error that says what was looked for. */
export function only<T>(hits: readonly T[], what: string): T {
  if (hits.length !== 1) throw new Error(`PGlite's WebAssembly has ${hits.length} places, not one, for ${what}`);
  return hits[0] as T;
}
