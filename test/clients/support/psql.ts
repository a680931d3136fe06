/**
 * psql as the tests call it.
 *
 * Owns: the flags that make its output exact. Does not own: what is asked.
 */
import { type Run, type RunOptions, run } from "./run-program.ts";

/** Runs psql against `url`: no start-up file, unaligned rows only, the first error ends it with exit code 1 or 3. */
export function psql(url: string, args: readonly string[], options: RunOptions = {}): Promise<Run> {
  return run("psql", ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, ...args], options);
}

/** The lines that psql printed; throws its error if it failed. */
export async function psqlLines(url: string, args: readonly string[], options: RunOptions = {}): Promise<string[]> {
  const result = await psql(url, args, options);
  if (result.code !== 0) throw new Error(result.all);
  return result.stdout.split("\n").filter((line) => line !== "");
}
