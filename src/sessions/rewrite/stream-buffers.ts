/**
 * The part of the rewrite that has C's streams read and write more at once.
 *
 * Owns: the size of their buffers. Does not own: what is read (PostgreSQL: its cache of system tables at each session's start, files of COPY).
 * Why: libc's 1 kB made 160 calls out of WebAssembly for each session. A buffer lies behind its stream, in one allocation.
 * Invariant: nothing else changes: `setvbuf` would come to the same.
 */
import { concat } from "../wasm/bytes.ts";
import { Op } from "../wasm/instructions.ts";
import { constant } from "./code.ts";
import { type Locator, only } from "./locate.ts";

/** Engine: musl's `BUFSIZ`, and its `FILE` with the room in front of the buffer for `ungetc` (stdio_impl.h). */
const bufferBytes = 1024;
const streamBytes = 144 + 8;

const largerBytes = 16 * 1024;

/** musl's `fdopen`, which is exported: `malloc(sizeof *f + UNGET + BUFSIZ)`, then `f->lbf = EOF; f->buf_size = BUFSIZ`. */
export function enlargeStreamBuffers(locator: Locator): void {
  const { module } = locator;
  const fdopen = module.exportedFunction("fdopen");
  const malloc = { op: Op.call, operand: module.exportedFunction("malloc") };
  const allocated = { op: Op.i32Const, operand: streamBytes + bufferBytes };
  const size = { op: Op.i32Const, operand: bufferBytes };
  const noLines = { op: Op.i32Const, operand: -1 };
  replace(locator, fdopen, [allocated, malloc], 0, streamBytes + largerBytes);
  replace(locator, fdopen, [noLines, Op.i32Store, Op.localGet, size, Op.i32Store], 3, largerBytes);
}

/** Replaces the constant that is instruction `pick` of the one sequence `ops` in a function. */
function replace(
  locator: Locator,
  index: number,
  ops: Parameters<Locator["matches"]>[2],
  pick: number,
  value: number,
): void {
  const code = locator.code(index);
  const starts = [...code.keys()].filter((at) => locator.matches(code, at, ops));
  const at = only(starts, "the size of a stream's buffer, in fdopen") + pick;
  const body = locator.module.body(index);
  const [start, end] = [code[at]!.offset, code[at + 1]!.offset];
  locator.module.replaceBody(index, concat([body.subarray(0, start), constant(value), body.subarray(end)]));
}
