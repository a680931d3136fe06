/**
 * The life of a small server process of the benchmark, once it listens.
 *
 * Owns: its ready line and its end. Does not own: the server.
 * Invariant: it ends at once on SIGTERM and SIGINT, and when its parent is gone (its standard input ends).
 */

/** Prints the ready line and arranges the end. `process.exit` and not the signal, so that a CPU profile is written. */
export function serveUntilTold(port: number): void {
  const end = () => process.exit(0);
  process.on("SIGTERM", end);
  process.on("SIGINT", end);
  process.stdin.on("end", end).resume();
  process.stdout.write(`${JSON.stringify({ url: `postgres://postgres@127.0.0.1:${port}/postgres`, port })}\n`);
}
