/**
 * Whether a failure means that somebody else has the port.
 *
 * Owns: finding EADDRINUSE in an error, its causes and its parts. Does not own: what to do about it.
 * Invariant: only the code counts, never the text of a message; an error that is its own cause ends the search.
 */
import { errorCode } from "./error-code.ts";

/** Returns whether an error is EADDRINUSE, or was caused by one, or is an AggregateError with one among its parts. */
export function isAddressInUse(error: unknown): boolean {
  const seen = new Set<unknown>();
  const search = (candidate: unknown): boolean => {
    if (typeof candidate !== "object" || candidate === null || seen.has(candidate)) return false;
    seen.add(candidate);
    if (errorCode(candidate) === "EADDRINUSE") return true;
    const { cause, errors } = candidate as { cause?: unknown; errors?: unknown };
    return search(cause) || (Array.isArray(errors) && errors.some(search));
  };
  return search(error);
}
