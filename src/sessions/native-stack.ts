/**
 * How much stack V8 gives to PostgreSQL.
 *
 * Owns: the sizes, and V8's flags for stacks that can be parked. Does not own: what of it PostgreSQL uses before it says
 * that a statement is nested too deeply (`rewrite/stack-depth.ts`).
 * Invariant: PostgreSQL's own limit, `max_stack_depth`, is reached long before one of these; a stack that is full ends at
 * best its session (`stack-overflow.ts`). Only what is used of a stack costs memory.
 */
import { setFlagsFromString } from "node:v8";
import { resourceLimits } from "node:worker_threads";

/** Of the engine thread itself, on which a session for all runs, and what a stack that can be parked grows to, in MiB. */
export const stackMb = 64;

/**
 * With what a stack that can be parked begins, in KiB. V8 keeps 4 MiB of them for the next calls: with larger ones every batch
 * would take a new one from the system, and twenty times the time.
 */
const parkedStackKib = 3584;

/** The versions of V8 (Node 24 to 26) whose stacks are known to grow, and the processors that they do so on. */
const versionsThatGrow = /^(13\.[6-9]|14)\./;
const processorsThatGrow: ReadonlySet<string> = new Set(["x64", "arm64"]);

/** To be called before the first stack that can be parked is made; those that there are keep their size. */
export function sizeParkedStacks(v8 = process.versions.v8): void {
  setFlagsFromString(`--wasm-stack-switching-stack-size=${parkedStackKib}`);
  const { stackSizeMb: largestMb = stackMb } = resourceLimits;
  const canGrow = versionsThatGrow.test(v8) && processorsThatGrow.has(process.arch);
  if (canGrow) setFlagsFromString("--experimental-wasm-growable-stacks");
  // Not larger than this flag, which is for all stacks whose size nobody has said.
  setFlagsFromString(`--stack-size=${canGrow ? largestMb * 1024 : parkedStackKib}`);
}
