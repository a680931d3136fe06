/**
 * What a separate process says on its standard output: this, then the length of its answer (8 bytes), then the answer as V8
 * serializes it: `{ value }` or `{ error }`.
 *
 * Owns: the beginning, by which such a process is told from another program, and from one that has not come so far.
 */

/**
 * What such a thread posts first, when all that it imports is there: before, its own process may lack what this one has, and
 * it cannot be known what an error means.
 */
export const begins = "begins";

/** Is written as soon as the thread begins. */
export const beginning: Buffer = Buffer.from("pglite-devdb 1\n");
