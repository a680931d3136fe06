/**
 * Has PostgreSQL's own check of its stack (utils/misc/stack_depth.c) end every recursion before V8's stack is full.
 *
 * Owns: what a call of a function that checks adds to the depth that PostgreSQL measures. Does not own: how large V8's stack
 * is (`../native-stack.ts`).
 * Why: PostgreSQL measures the C stack, where WebAssembly has only what has an address. V8's stack, which every call takes
 * from, is not seen: functions that need nothing of the C stack recur until that one is full, and then V8 leaves all frames,
 * those that clean up after an error among them. So each function that checks takes some of the C stack beside
 * its own frame. Whatever recurs in PostgreSQL passes such a function, or it would have no end there either.
 * Invariant: no index moves and no behaviour changes but the depth; what is reserved is never written to.
 */
import { concat } from "../wasm/bytes.ts";
import { type Instruction, instructions, Op } from "../wasm/instructions.ts";
import { WasmModule } from "../wasm/module.ts";
import { call, constant, get } from "./code.ts";
import { marksImport } from "./mark-writes.ts";

/** PostgreSQL's function; exported by itself, imported by its libraries. */
const checkName = "check_stack_depth";

/**
 * The check in regular expressions, `re->re_fns->stack_too_deep()` (regex/regguts.h, STACK_TOO_DEEP): a call of the pointer at
 * the offset 4 of what the pointer at the offset 28 of a `regex_t` leads to.
 */
const regularExpressionsCheck = [...load(28), ...load(4), Op.callIndirect];

/**
 * What a call of a function that checks counts beside its frame on the C stack, in bytes; about what its frame in machine
 * code is, so that statements may be about as deep as in PostgreSQL. A multiple of the stack's alignment, 16.
 */
const reservedBytes = 128;

/** The module with larger frames where PostgreSQL checks its stack; the same bytes if it does so nowhere, or was rewritten before. */
export function reserveStack(bytes: Uint8Array): Uint8Array {
  const module = new WasmModule(bytes);
  const isRewritten = module.imports.some(({ field }) => field === marksImport.field);
  return isRewritten || reserveStackIn(module) === 0 ? bytes : module.toBytes();
}

/** The same for a module that is being rewritten. Returns how many functions were changed. */
export function reserveStackIn(module: WasmModule): number {
  const { stackPointer } = module;
  const check = functionNamed(module, checkName);
  if (stackPointer === undefined || check === undefined) return 0;
  const checks = [check, ...otherChecks(module, check)];
  const checking = new Set(functionsWith(module, ...checks.map(call), regularExpressionsCheck));
  for (const index of checks) checking.delete(index);
  for (const index of checking) wrap(module, index, stackPointer);
  return checking.size;
}

function functionNamed(module: WasmModule, field: string): number | undefined {
  const isImported = module.imports.some((item) => item.field === field);
  if (isImported) return module.importedFunction(field);
  return module.exports.has(field) ? module.exportedFunction(field) : undefined;
}

/** `stack_is_too_deep()`, which has no export: it reads `stack_base_ptr`, too, the first variable that the check reads. */
function otherChecks(module: WasmModule, check: number): number[] {
  if (check < module.importedFunctions) return [];
  const code = codeOf(module, check);
  const variable = code.find(({ op }, at) => op === Op.i32Const && code[at + 1]?.op === Op.i32Load);
  if (!variable) throw new Error(`${checkName} of PGlite's WebAssembly reads no variable`);
  const readers = functionsWith(module, [...constant(variable.operand), ...load(0)]);
  return readers.filter((index) => index !== check);
}

function load(offset: number): number[] {
  return [Op.i32Load, 2, offset];
}

/** The functions with one of these sequences of instructions. */
function functionsWith(module: WasmModule, ...sequences: readonly (readonly number[])[]): number[] {
  const needles = sequences.map((sequence) => Buffer.from(sequence));
  return module.bodies.flatMap((body, place) => {
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.length);
    const found = needles.filter((needle) => bytes.includes(needle));
    if (found.length === 0) return [];
    const index = place + module.importedFunctions;
    // The same bytes may lie across other instructions.
    const begins = ({ offset }: Instruction) =>
      found.some((needle) => needle.equals(bytes.subarray(offset, offset + needle.length)));
    return codeOf(module, index).some(begins) ? [index] : [];
  });
}

function codeOf(module: WasmModule, index: number): Instruction[] {
  const body = module.body(index);
  return [...instructions(body, 0, body.length)];
}

/** Moves the function's code to a new function, which the old one calls with a lower stack pointer. */
function wrap(module: WasmModule, index: number, stackPointer: number): void {
  const moved = module.addFunction(index, module.body(index));
  const { parameters } = module.signatureOf(index);
  const lower = (bytes: number): number[][] => [
    [Op.globalGet, stackPointer],
    constant(bytes),
    [Op.i32Subtract],
    [Op.globalSet, stackPointer],
  ];
  const values = Array.from({ length: parameters }, (_, local) => get(local));
  module.replaceBody(
    index,
    concat([[0], ...lower(reservedBytes), ...values, call(moved), ...lower(-reservedBytes), [Op.end]]),
  );
}
