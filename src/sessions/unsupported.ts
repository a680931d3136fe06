/**
 * Raising PostgreSQL's "feature not supported" from a JavaScript function that PostgreSQL has called.
 *
 * Owns: the calls that `ereport` makes. Does not own: what is not supported (`missing-functions.ts`, `tablespaces.ts`).
 * Invariant: errfinish() leaves by a long jump, like any error of PostgreSQL's own; the caller must let it pass.
 */

/** What is needed of PostgreSQL to raise an error in it. */
export interface PostgresCalls {
  /** Its exported functions. */
  readonly exports: Readonly<Record<string, ((...parameters: number[]) => number) | undefined>>;
  /** Its memory as it is now. */
  readonly bytes: Uint8Array;
}

// ERROR of src/include/utils/elog.h, and MAKE_SQLSTATE('0','A','0','0','0').
const error = 21;
const featureNotSupported = ("A".charCodeAt(0) - "0".charCodeAt(0)) << 6;

/** Raises an error with SQLSTATE 0A000 in the running session. */
export function raiseUnsupported(
  postgres: PostgresCalls,
  { message, detail, hint }: { readonly message: string; readonly detail?: string; readonly hint: string },
): number {
  const call = (callee: string, ...parameters: number[]) => postgres.exports[callee]!(...parameters);
  // A format: what comes from a statement may have a percent sign.
  const text = (value: string): number => {
    const bytes = Buffer.from(`${value.replaceAll("%", "%%")}\0`);
    const address = call("malloc", bytes.length);
    postgres.bytes.set(bytes, address);
    return address;
  };
  call("errstart", error, 0);
  call("errcode", featureNotSupported);
  call("errmsg_internal", text(message), 0);
  if (detail !== undefined) call("errdetail_internal", text(detail), 0);
  call("errhint", text(hint), 0);
  call("errfinish", 0, 0, 0);
  return 0;
}
