/**
 * The library with one engine for all the databases of a process, one after the other: a start takes milliseconds.
 *
 * Owns: the engine that is kept. Does not own: start, listener and close, which are the product's own.
 * Invariant: it stands in for `pglite-devdb` in `programs/leave.test.mjs`, and has the names that this imports.
 */
import { controlDevDb } from "../../../src/dev-db/control.ts";
import type { DevDb, DevDbOptions } from "../../../src/dev-db/handle.ts";
import type { OpenParts } from "../../../src/dev-db/open.ts";
import type { Engine } from "../../../src/engine/engine.ts";
import { openEngine } from "../../../src/engine/kept-engine.ts";
import { resolveOptions } from "../../../src/options.ts";

export { closePostgres } from "../../../src/testing/index.ts";

let kept: Promise<Engine> | undefined;
let closeKept: (() => Promise<void>) | undefined;

const parts: OpenParts = {
  listen: (engine, options) => engine.listen(options),
  openEngine: (options) => {
    kept ??= openEngine(options).then((engine) => {
      closeKept = engine.close.bind(engine);
      engine.close = async () => {};
      return engine;
    });
    return kept;
  },
};

/** As the product's. */
export function startDevDb(library: DevDbOptions): Promise<DevDb> {
  return controlDevDb(resolveOptions({ library }), { parts }).start();
}

/** Closes the engine. */
export async function closeEngine(): Promise<void> {
  await closeKept?.();
}
