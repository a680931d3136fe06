/**
 * The code of an error of the system.
 *
 * Owns: reading `code` from something that was thrown. Does not own: what a code means to its reader.
 * Invariant: anything can be thrown, so nothing is assumed about it.
 */

/** Returns the `code` of an error (`EADDRINUSE` …), or undefined where there is none. */
export function errorCode(error: unknown): string | undefined {
  const code = typeof error === "object" && error !== null ? (error as { code?: unknown }).code : undefined;
  return typeof code === "string" ? code : undefined;
}
