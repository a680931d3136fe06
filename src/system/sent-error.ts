/**
 * Errors on their way between threads.
 *
 * Owns: what is kept of one. Does not own: who is told of it. Invariant: what callers tell errors apart by survives.
 */
/** An error as it is sent: a copy between threads would lose what the system says. */
export interface SentError {
  readonly message: string;
  readonly stack?: string | undefined;
  readonly code?: string | undefined;
  readonly address?: string | undefined;
}

/** What is sent of what was thrown; Emscripten throws things that are no errors. */
export function packError(thrown: unknown): SentError {
  if (!(thrown instanceof Error)) {
    const { message, status } = (thrown ?? {}) as { message?: unknown; status?: unknown };
    const suffix = status === undefined ? "" : ` (status ${status})`;
    return { message: `PostgreSQL ended: ${String(message ?? thrown)}${suffix}` };
  }
  const { message, stack, code, address } = thrown as NodeJS.ErrnoException & { readonly address?: string };
  return { message, stack, code, address };
}

/** An error that says the same. */
export function unpackError({ message, stack, code, address }: SentError): Error {
  const error = Object.assign(new Error(message), code === undefined ? {} : { code }, address ? { address } : {});
  if (stack !== undefined) error.stack = stack;
  return error;
}
