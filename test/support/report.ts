/**
 * A figure that a test measured, for whoever reads its output.
 *
 * Owns: the way there. Does not own: what is good or bad; no test depends on it.
 */

/** Prints one line. */
export function report(line: string): void {
  process.stdout.write(`  · ${line}\n`);
}
