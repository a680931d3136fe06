/**
 * Keeping V8 from optimizing PostgreSQL's parser.
 *
 * Owns: the guard at the start of `raw_parser`, and its compilation. Does not own: any other function.
 * Invariant: the parser does what it did; only for NULL, which PostgreSQL never passes, it returns at once.
 *
 * Engine: V8 optimizes a WebAssembly function that has run for a while, on another thread. For `raw_parser`, 100 KB of
 * jumps, that takes a second and half a gigabyte, in every server and soon after its start. As it is compiled at first, it
 * takes some percent longer for the text of a statement (test/faults/process-memory.test.ts).
 */
import { setFlagsFromString } from "node:v8";
import { Op } from "./wasm/instructions.ts";

/** The exported function: `List *raw_parser(const char *str, RawParseMode mode)`. */
export const parserName = "raw_parser";

/** What the parser has to begin with: `if (str == NULL) return NULL;`. */
export const parserGuard: readonly number[] = [
  ...[Op.localGet, 0, Op.i32EqualZero, Op.if, Op.noResult],
  ...[Op.i32Const, 0, Op.return, Op.end],
];

/** No function has this index: it would be an import. */
const noFunction = 0;

/**
 * Compiles the guarded parser for good. To be called before PostgreSQL has called it. V8 decides at a function's first
 * compilation, which is its first call, whether it counts how long it runs. The flag is the process's, for some milliseconds:
 * what other threads compile meanwhile stays unoptimized, too, and is right nevertheless.
 */
export function compileParser(exports: Readonly<Record<string, unknown>>): void {
  const parse = exports[parserName] as (text: number, mode: number) => number;
  setFlagsFromString(`--wasm-tier-up-filter=${noFunction}`);
  parse(0, 0);
  setFlagsFromString("--wasm-tier-up-filter=-1");
}
