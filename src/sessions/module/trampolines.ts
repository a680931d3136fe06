/**
 * The `invoke_*` functions of emscripten's setjmp/longjmp, generated as WebAssembly.
 *
 * Owns: the generated module. Does not own: who imports it (`../instantiate.ts`).
 * Why: emscripten implements longjmp with JavaScript functions that catch a JavaScript exception. They would lie between
 * the frames of a backend's stack, and a stack with JavaScript in it cannot be parked (WebAssembly JS Promise
 * Integration). The generated functions do the same with WebAssembly exceptions.
 * Invariant: all generated modules of one engine share one tag, so that a longjmp finds its setjmp across modules; every
 * other exception (a JavaScript error, a trap) passes through untouched.
 */

import { name, signed, unsigned } from "../wasm/bytes.ts";
import { ExternalKind } from "../wasm/imports.ts";
import { Op } from "../wasm/instructions.ts";
import { generatedModule, TypeList, valueTypes } from "./generated-module.ts";

/** Slots of the function table that hold the three functions of the main module which a trampoline needs. */
export interface TrampolineSlots {
  /** `emscripten_stack_get_current() → i32` */
  readonly getStack: number;
  /** `_emscripten_stack_restore(i32)` */
  readonly setStack: number;
  /** `setThrew(i32, i32)` */
  readonly setThrew: number;
}

/** What throws a longjmp; its counterpart among the imports. */
export const throwLongjmp = "_emscripten_throw_longjmp";

const zero: Record<string, number[]> = {
  i: [0x41, 0],
  p: [0x41, 0],
  j: [0x42, 0],
  f: [0x43, 0, 0, 0, 0],
  d: [0x44, 0, 0, 0, 0, 0, 0, 0, 0],
};
const empty = 0x40;
const exception = { try: 0x06, catch: 0x07, throw: 0x08 } as const;

/** Whether `field` is an import that `trampolines` can supply. */
export function isTrampoline(field: string): boolean {
  return field === throwLongjmp || /^invoke_[vijfdp][ijfdp]*$/.test(field);
}

/**
 * A module that exports `fields` (names of the form `invoke_viij`, and `_emscripten_throw_longjmp`).
 * It imports `host.table` and `host.tag`, a tag without parameters.
 */
export function trampolines(fields: readonly string[], slots: TrampolineSlots): Uint8Array<ArrayBuffer> {
  const types = new TypeList();
  const tagType = types.index("v");
  const wanted = fields.map((field) => ({
    field,
    signature: field === throwLongjmp ? "v" : field.slice("invoke_".length),
  }));
  const functions = wanted.map(({ field, signature }) => ({
    field,
    // The function's own parameters are the table index and then those of the function that it calls.
    type: types.index(field === throwLongjmp ? "v" : `${signature[0]}i${signature.slice(1)}`),
    body: field === throwLongjmp ? [0, exception.throw, 0, Op.end] : invokeBody(signature, types, slots),
  }));
  const imports = [
    [...name("host"), ...name("table"), ExternalKind.table, 0x70, 0, ...unsigned(0)],
    [...name("host"), ...name("tag"), ExternalKind.tag, 0, ...unsigned(tagType)],
  ];
  return generatedModule(types, imports, functions, 0);
}

/** What a bridged function's answer is when it has to wait: the answer then is what `host.wait` returns. */
export const mustWait = -0x5afe_5afe;

/**
 * A module that exports each of `fields`, of type (i32, …) → i32 with `parameters` parameters, as a WebAssembly function
 * that calls the import `host.<field>` and, if that answers `mustWait`, the import `host.wait` of type () → i32.
 *
 * Why: a function table takes only WebAssembly functions; and only a call of a suspending import may park the stack, but
 * such a call costs more than a plain one and fails outside a promising call. So the plain function decides.
 */
export function bridges(fields: Readonly<Record<string, number>>): Uint8Array<ArrayBuffer> {
  const types = new TypeList();
  const bridged = Object.entries(fields).map(([field, parameters], index) => {
    const result = [Op.localTee, ...unsigned(parameters), ...i32(mustWait), Op.i32Equal];
    const wait = [Op.if, valueTypes.i!, Op.call, 0, Op.else, Op.localGet, ...unsigned(parameters), Op.end];
    const argument = Array.from({ length: parameters }, (_, local) => [Op.localGet, ...unsigned(local)]);
    const call = [...argument.flat(), Op.call, ...unsigned(index + 1)];
    const body = [1, 1, valueTypes.i!, ...call, ...result, ...wait, Op.end];
    return { field, type: types.index(`i${"i".repeat(parameters)}`), body };
  });
  const functionImport = (field: string, type: number) => {
    return [...name("host"), ...name(field), ExternalKind.function, ...unsigned(type)];
  };
  const imports = bridged.map(({ field, type }) => functionImport(field, type));
  return generatedModule(types, [functionImport("wait", types.index("i")), ...imports], bridged, bridged.length + 1);
}

/**
 * A module that drives a batch in one call, because a call that may be parked costs more than a plain one. It exports
 * `run`: `step` until `more` answers 0, then `finish`; and `end`: `finish`. It imports those three from `host`: `more` of
 * type () → i32, the others of type () → (). Nothing is flushed here: PostgreSQL flushes where the protocol asks for it.
 */
export function batchLoop(): Uint8Array<ArrayBuffer> {
  const types = new TypeList();
  const imported = (field: string, signature: string) => {
    return [...name("host"), ...name(field), ExternalKind.function, ...unsigned(types.index(signature))];
  };
  const imports = [imported("step", "v"), imported("more", "i"), imported("finish", "v")];
  const end = [Op.call, 2, Op.end];
  const run = [Op.loop, empty, Op.call, 0, Op.call, 1, Op.brIf, 0, Op.end];
  const functions = [
    { field: "run", type: types.index("v"), body: [0, ...run, ...end] },
    { field: "end", type: types.index("v"), body: [0, ...end] },
  ];
  return generatedModule(types, imports, functions, imports.length);
}

/** Calls the function in slot `local 0`; a longjmp out of it restores the stack pointer and sets `__THREW__`. */
function invokeBody(signature: string, types: TypeList, slots: TrampolineSlots): number[] {
  const result = signature[0] ?? "v";
  const parameters = signature.slice(1);
  const stack = parameters.length + 1;
  const indirect = (slot: number, type: string) => [...i32(slot), Op.callIndirect, ...unsigned(types.index(type)), 0];
  return [
    ...[1, 1, valueTypes.i!],
    ...indirect(slots.getStack, "i"),
    ...[Op.localSet, ...unsigned(stack)],
    ...[exception.try, result === "v" ? empty : valueTypes[result]!],
    ...[...parameters].flatMap((_, index) => [Op.localGet, ...unsigned(index + 1)]),
    ...[Op.localGet, 0, Op.callIndirect, ...unsigned(types.index(signature)), 0],
    ...[exception.catch, 0],
    ...[Op.localGet, ...unsigned(stack)],
    ...indirect(slots.setStack, "vi"),
    ...[...i32(1), ...i32(0)],
    ...indirect(slots.setThrew, "vii"),
    ...(zero[result] ?? []),
    ...[Op.end, Op.end],
  ];
}

function i32(value: number): number[] {
  return [Op.i32Const, ...signed(value)];
}
