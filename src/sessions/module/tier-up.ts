/**
 * What V8 optimizes of PostgreSQL, and when.
 *
 * Owns: V8's flags for that; the guard at the start of `raw_parser`, and its compilation. Does not own: how much stack V8
 * gives to sessions (`../host.ts`).
 * Invariant: the parser does what it did; only for NULL, which PostgreSQL never passes, it returns at once.
 *
 * Engine: V8 compiles a function at its first call, and optimizes it on another thread when it has run for a while. For
 * `raw_parser`, 100 KB of jumps, that takes a second and half a gigabyte, with the marks of `../rewrite/mark-writes.ts` more, in
 * every server and soon after its start. As it is compiled at first, it takes some percent longer for the text of a statement
 * (test/faults/process-memory.test.ts).
 */
import { setFlagsFromString } from "node:v8";
import { Op } from "../wasm/instructions.ts";

/** The exported function: `List *raw_parser(const char *str, RawParseMode mode)`. */
export const parserName = "raw_parser";

/** What the parser has to begin with: `if (str == NULL) return NULL;`. */
export const parserGuard: readonly number[] = [
  ...[Op.localGet, 0, Op.i32EqualZero, Op.if, Op.noResult],
  ...[Op.i32Const, 0, Op.return, Op.end],
];

/** No function has this index: it would be an import. */
const noFunction = 0;

/** The versions of V8 that are known to have the flags (Node 22 to 26); another one could complain of them on stderr. */
const versionsWithFlags = /^1[1-4]\./;

/**
 * How long a function runs before V8 optimizes it, in V8's unit, about a byte of code that is run; V8's own is 13 million. A
 * server lives for the seconds of a test run: in its first ten it does 1.4 times as much so, for a third of a second of
 * another thread's time at the start.
 */
const tieringBudget = 500_000;

/** Has V8 optimize sooner what is compiled from now on. */
export function optimizeSooner(v8 = process.versions.v8): void {
  if (!versionsWithFlags.test(v8)) return;
  setFlagsFromString(`--wasm-tiering-budget=${tieringBudget}`);
  // What a thread of V8's takes for optimizing, the allocator keeps for that thread: 15 MB less with one of them.
  setFlagsFromString("--wasm-num-compilation-tasks=1");
}

/**
 * Compiles the guarded parser for good, where that is known to work. To be called before PostgreSQL has called it. V8 decides
 * at a function's first compilation, which is its first call, whether it counts how long it runs. The flag is the process's,
 * for some milliseconds: what other threads compile meanwhile stays unoptimized, too, and is right nevertheless.
 */
export function compileParser(exports: Readonly<Record<string, unknown>>, v8 = process.versions.v8): void {
  const parse = exports[parserName];
  if (typeof parse !== "function" || !versionsWithFlags.test(v8)) return;
  setFlagsFromString(`--wasm-tier-up-filter=${noFunction}`);
  try {
    parse(0, 0);
  } finally {
    setFlagsFromString("--wasm-tier-up-filter=-1");
  }
}
