/**
 * A WebAssembly stack that has overflowed, as PostgreSQL's error 54001, which ends the session.
 *
 * Owns: raising that error. Does not own: noticing the overflow (`session.ts`).
 * Why: PostgreSQL's own check ends a recursion long before V8's stack is full (`rewrite/stack-depth.ts`,
 * `native-stack.ts`), but where V8's stacks do not grow, or where PostgreSQL recurs without a check. V8 throws a RangeError
 * that leaves all frames, those that clean up after an error among them: the session cannot go on.
 */
import { ErrorLevel, raiseError } from "./errors.ts";
import type { Machine } from "./machine.ts";

/** MAKE_SQLSTATE('5','4','0','0','1'): six bits for each character. */
const statementTooComplex = 5 + (4 << 6) + (1 << 24);
const message = "stack depth limit exceeded";
const hint = "The statement is nested too deeply for the stack of this process.";

/** Whether an exception is V8's for a stack that is full. */
export function isStackOverflow(error: unknown): boolean {
  return error instanceof RangeError && error.message.startsWith("Maximum call stack");
}

/**
 * Raises the error in the running session, whose stack is empty again. `handler` is what `PG_exception_stack` was at the
 * top. Throws what PostgreSQL throws for an error.
 */
export function raiseStackOverflow(machine: Machine, handler: number): never {
  // Both point into frames that are gone.
  machine.setWord(machine.address("error_context_stack"), 0);
  machine.setWord(machine.address("PG_exception_stack"), handler);
  raiseError(machine, { level: ErrorLevel.fatal, code: statementTooComplex, message, hint });
}
