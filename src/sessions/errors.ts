/**
 * Raising an error of PostgreSQL's from JavaScript.
 *
 * Owns: the calls that `ereport` makes. Does not own: when (`stack-overflow.ts`, `checkpointer.ts`, `missing-functions.ts`).
 * Invariant: what PostgreSQL throws for an error passes through; a caller that PostgreSQL has called must let it pass.
 */

/** The part of PostgreSQL that is needed to raise an error in it: a `Machine`, or a module of PGlite. */
export interface RaisingPostgres {
  readonly exports: Readonly<Record<string, unknown>>;
  write(address: number, bytes: Uint8Array): void;
}

/** `ERROR` and `FATAL` (utils/elog.h). */
export const ErrorLevel = { error: 21, fatal: 22 } as const;

/** "0A000", as `MAKE_SQLSTATE` has it: six bits for each character. */
export const featureNotSupported = ("A".charCodeAt(0) - "0".charCodeAt(0)) << 6;

/** What the error says; `code` as `MAKE_SQLSTATE` has it, PostgreSQL's internal error if it is left out. */
interface ErrorReport {
  readonly level?: (typeof ErrorLevel)[keyof typeof ErrorLevel];
  readonly code?: number;
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
}

/** Raises an error in the running session. */
export function raiseError(postgres: RaisingPostgres, report: ErrorReport): never {
  const { level = ErrorLevel.error, code, message, detail, hint } = report;
  const call = (name: string, ...parameters: number[]) =>
    (postgres.exports[name] as (...parameters: number[]) => number)(...parameters);
  // The error takes a copy; this one goes with the memory of the statement.
  const format = (text: string): number => {
    const bytes = new TextEncoder().encode(`${text.replaceAll("%", "%%")}\0`);
    const address = call("palloc", bytes.length);
    postgres.write(address, bytes);
    return address;
  };
  call("errstart", level, 0);
  if (code !== undefined) call("errcode", code);
  call("errmsg_internal", format(message), 0);
  if (detail !== undefined) call("errdetail_internal", format(detail), 0);
  if (hint !== undefined) call("errhint", format(hint), 0);
  call("errfinish", 0, 0, 0);
  throw new Error("PostgreSQL went on after an error");
}
