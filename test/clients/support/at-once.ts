/**
 * Doing one thing many times at the same time.
 */

/** Calls `work` for 0, 1, … `count - 1` at the same time; resolves with all results, in order. */
export function atOnce<T>(count: number, work: (index: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => work(index)));
}
