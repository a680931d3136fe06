/**
 * From a time to the delay of a timer.
 *
 * Owns: what `setTimeout` takes. Does not own: any timer.
 */

/** In ms, about 25 days: a timer that is asked for more fires at once. */
const longestMs = 0x7fff_ffff;

/** The delay until a time of `performance.now()`: not too short, and at most what `setTimeout` takes. */
export function delayUntil(time: number): number {
  return Math.min(Math.max(0, Math.ceil(time - performance.now())), longestMs);
}
