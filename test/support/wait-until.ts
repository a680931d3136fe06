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

/** Resolves with what `work` resolves with, or with undefined once `limitMs` have passed; rejects as `work` does. */
export async function within<T>(limitMs: number, work: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), limitMs);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
