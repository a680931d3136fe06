/**
 * Raising an error of PostgreSQL's from JavaScript.
 *
 * Owns: the calls that `ereport` makes. Does not own: when (`stack-overflow.ts`, `checkpointer.ts`).
 * Invariant: what PostgreSQL throws for an error passes through; a caller that PostgreSQL has called must let it pass.
 */
import type { Machine } from "./machine.ts";

/** `ERROR` and `FATAL` (utils/elog.h). */
export const ErrorLevel = { error: 21, fatal: 22 } as const;

/** What the error says; `code` as `MAKE_SQLSTATE` has it, PostgreSQL's internal error if it is left out. */
interface ErrorReport {
  readonly level?: (typeof ErrorLevel)[keyof typeof ErrorLevel];
  readonly code?: number;
  readonly message: string;
  readonly hint: string;
}

/** Raises an error in the running session. */
export function raiseError(machine: Machine, { level = ErrorLevel.error, code, message, hint }: ErrorReport): never {
  const text = (value: string): number => {
    const bytes = new TextEncoder().encode(`${value}\0`);
    const address = machine.function("palloc")(bytes.length);
    machine.write(address, bytes);
    return address;
  };
  machine.function("errstart")(level, 0);
  if (code !== undefined) machine.function("errcode")(code);
  machine.function("errmsg_internal")(text(message), 0);
  machine.function("errhint")(text(hint), 0);
  machine.function("errfinish")(0, 0, 0);
  throw new Error("PostgreSQL went on after an error");
}
