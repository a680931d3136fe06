/**
 * Waiting for something that may never happen.
 *
 * Owns: the limit. Invariant: no timer outlives the call.
 */

/** Whether `promise` was fulfilled within so many ms; rejects as it does. */
export async function within(limitMs: number, promise: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), limitMs);
  });
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
