/**
 * Waiting for a condition instead of for a time.
 *
 * Owns: the polling and its bound. Does not own: the conditions.
 * Invariant: a wait always ends, and a failed one says what it waited for.
 */

const pauseMs = 5;
/** A round that took longer than this did so because the machine was busy, or the condition is slow to tell. */
const roundMs = 50;

/**
 * Resolves once `condition` holds; rejects naming `what` after `limitMs` (40 s). A round counts for at most 50 ms, so that
 * the limit grows on a busy machine: a process that does not run for a while does not use it up.
 */
export async function waitUntil(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limitMs = 40_000,
): Promise<void> {
  let waitedMs = 0;
  for (let began = performance.now(); !(await condition()); ) {
    if (waitedMs > limitMs) throw new Error(`waited ${limitMs} ms in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    const now = performance.now();
    waitedMs += Math.min(now - began, roundMs);
    began = now;
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
