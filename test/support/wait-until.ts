/**
 * Waiting for a condition instead of for a time.
 *
 * Owns: the polling and its bound. Does not own: the conditions.
 * Invariant: a wait always ends, and a failed one says what it waited for.
 */

/** Resolves once `condition` holds; rejects naming `what` after `limitMs` (20 s). */
export async function waitUntil(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limitMs = 20_000,
): Promise<void> {
  const end = Date.now() + limitMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited ${limitMs} ms in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
