/**
 * Writing the few instructions that the rewrite puts into functions.
 *
 * Owns: their encoding, and where in a body they go. Does not own: into which functions (`postgres.ts`, `checkpoints.ts`).
 * Invariant: code on entry leaves the stack as it was; the locals that it may use are the function's own.
 */
import { concat, signed, unsigned } from "../wasm/bytes.ts";
import { Op, skipLocals } from "../wasm/instructions.ts";
import type { WasmModule } from "../wasm/module.ts";

/** Instructions, one after another. */
type Code = readonly (readonly number[])[];

/** The type of a local. */
export const i32Type = 0x7f;

/** Puts code in front of a function's own. */
export function callOnEntry(module: WasmModule, index: number, code: Code): void {
  const body = module.body(index);
  const start = skipLocals(body, 0);
  module.replaceBody(index, concat([body.subarray(0, start), ...code, body.subarray(start)]));
}

/** A body of this code, with so many locals of type i32 beside the parameters. */
export function functionBody(code: Code, locals = 0): Uint8Array {
  const declared = locals === 0 ? [0] : [1, ...unsigned(locals), i32Type];
  return concat([declared, ...code, [Op.end]]);
}

/** Pushes a local. */
export function get(local: number): number[] {
  return [Op.localGet, ...unsigned(local)];
}

/** Pops into a local. */
export function set(local: number): number[] {
  return [Op.localSet, ...unsigned(local)];
}

/** Copies into a local. */
export function tee(local: number): number[] {
  return [Op.localTee, ...unsigned(local)];
}

/** Pushes a number. */
export function constant(value: number): number[] {
  return [Op.i32Const, ...signed(value)];
}

/** Calls a function. */
export function call(index: number): number[] {
  return [Op.call, ...unsigned(index)];
}

/** Runs `code` if the popped number is not 0. */
export function ifTrue(code: Code): number[][] {
  return [[Op.if, Op.noResult], ...code.map((instruction) => [...instruction]), [Op.end]];
}

/** Runs `code`, which pushes a number at its end, until that is 0. */
export function repeatWhile(code: Code): number[][] {
  return [[Op.loop, Op.noResult], ...code.map((instruction) => [...instruction]), [Op.brIf, 0], [Op.end]];
}
