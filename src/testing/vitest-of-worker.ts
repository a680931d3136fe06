/**
 * The exports of vitest in a worker.
 *
 * Owns: finding them without an import. vitest's configuration imports `pglite-devdb/vitest`, and vitest 3 cannot be imported there.
 */
import { UsageError } from "../errors.ts";

/** vitest's exports. */
type Vitest = typeof import("vitest");

const known = Symbol.for("pglite-devdb.vitest");

/** Our setup file sets `known`. vitest sets the other one, also in projects without our plugin. */
const places = globalThis as { [known]?: Vitest; __vitest_index__?: Vitest };

/** Keeps the exports for test files. Our setup file calls it. */
export function rememberVitest(vitest: Vitest): void {
  places[known] = vitest;
}

/** Returns the exports. Throws a `UsageError` outside of a worker. */
export function vitestOfWorker(): Vitest {
  const vitest = places[known] ?? places.__vitest_index__;
  if (!vitest)
    throw new UsageError("pglite-devdb/vitest: test and useDatabase() can be used only in test files that vitest runs");
  return vitest;
}
