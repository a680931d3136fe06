/**
 * Engines for tests that need several, or one that a failure may ruin.
 *
 * Owns: booting them, the first one of a process from scratch and the others from a copy of it, and closing them.
 * Does not own: the servers in front of them. Invariant: every engine starts as a freshly created one does.
 */
import { PGlite } from "@electric-sql/pglite";
import { within } from "./wait-until.ts";

let template: Promise<Blob> | undefined;

/** Boots an engine of its own for the caller, who closes it. */
export async function createEngine(): Promise<PGlite> {
  if (template) return PGlite.create({ loadDataDir: await template });
  const engine = PGlite.create();
  template = engine.then((db) => db.dumpDataDir("none"));
  await template;
  return engine;
}

/** Closes an engine; one that cannot be closed any more is left behind after `limitMs`. */
export async function closeEngine(engine: PGlite, limitMs = 2000): Promise<void> {
  await within(limitMs, engine.close());
}
