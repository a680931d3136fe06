/**
 * A promise that is resolved from outside; Node 20 has no `Promise.withResolvers`.
 *
 * Owns: that. Does not own: what is waited for.
 */

/** See the head of the file. */
export interface Latch {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

/** A new one. */
export function latch(): Latch {
  let resolve = (): void => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
