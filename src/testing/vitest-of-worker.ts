/**
 * vitest itself, in a worker.
 *
 * Owns: where it comes from. An import of `vitest` would do, but `pglite-devdb/vitest` is also imported in vitest's configuration, where vitest 3
 * refuses to be imported.
 */
import { UsageError } from "../errors.ts";

/** vitest's exports. */
type Vitest = typeof import("vitest");

const known = Symbol.for("pglite-devdb.vitest");

/** `known` is set by our own setup file, the other one by vitest, for a file that is not led by our plugin. */
const places = globalThis as { [known]?: Vitest; __vitest_index__?: Vitest };

/** To be called by our setup file, before a test file is imported. */
export function rememberVitest(vitest: Vitest): void {
  places[known] = vitest;
}

/** Throws a `UsageError` where no worker is. */
export function vitestOfWorker(): Vitest {
  const vitest = places[known] ?? places.__vitest_index__;
  if (!vitest) throw new UsageError("pglite-devdb/vitest: test and useDatabase() are for test files that vitest runs");
  return vitest;
}
