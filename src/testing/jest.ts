/**
 * `pglite-devdb/jest`: one server for a run of jest, and a database for each test, file or worker.
 *
 * Owns: what jest's configuration gets, and which of its hooks are used. Does not own: the server (`jest-setup.ts`), what the hooks do
 * (`use-database.ts`).
 * Invariant: this file and what it imports can be loaded as CommonJS, too: jest's own `require` does not load ES modules.
 */
import { join } from "node:path";
import type { DevDbOptions } from "../index.ts";
import type { TestDatabase } from "./database-per-test.ts";
import { serverOfRun } from "./run-address.ts";
import { rememberOptions } from "./run-options.ts";
import { type UseDatabaseOptions, useDatabaseOf } from "./use-database.ts";

export type { TestDatabase } from "./database-per-test.ts";
export type { UseDatabaseOptions } from "./use-database.ts";

/** What `devDb` gives to jest's configuration. */
interface JestConfig {
  readonly globalSetup: string;
  readonly globalTeardown: string;
  readonly setupFiles: readonly string[];
}

/**
 * Spread into jest's configuration: the run has a server. The options are those of `startDevDb`. A configuration with `setupFiles` of
 * its own puts them behind these.
 */
export function devDb(options: DevDbOptions = {}): JestConfig {
  rememberOptions(options);
  const setup = join(import.meta.dirname, "jest-setup.js");
  return { globalSetup: setup, globalTeardown: setup, setupFiles: [join(import.meta.dirname, "jest-worker.cjs")] };
}

type Hook = (hook: () => Promise<void>) => void;

/** What jest puts beside JavaScript's own. */
interface JestGlobals {
  readonly beforeAll?: Hook;
  readonly beforeEach?: Hook;
  readonly afterEach?: Hook;
  readonly afterAll?: Hook;
  /** Those of jest's events: what jest itself adds to, and the only place where a hook can learn of a failure. */
  readonly [eventHandlers]?: ((event: { readonly name: string; readonly test?: { readonly name: string } }) => void)[];
}

const eventHandlers = Symbol.for("EVENT_HANDLERS");

/**
 * A database of the test's own, migrated and seeded, for the tests of this file or `describe`. Its `url` is also in
 * `process.env.DATABASE_URL` meanwhile. Where a client is left open the database stays until the end of the run.
 */
export function useDatabase(options: UseDatabaseOptions = {}): TestDatabase {
  const { beforeAll, beforeEach, afterEach, afterAll, [eventHandlers]: handlers } = globalThis as JestGlobals;
  if (!beforeAll || !beforeEach || !afterEach || !afterAll)
    throw new Error("useDatabase needs jest's globals, which injectGlobals: false takes away");
  let failed: string | undefined;
  handlers?.push(({ name, test }) => {
    if (name === "test_start") failed = undefined;
    if (name === "test_fn_failure" || name === "hook_failure") failed = test?.name;
  });
  const runner = {
    server: serverOfRun(),
    configuration: "...devDb() in jest's configuration",
    leads: "setupFiles: [...devDb().setupFiles, …] in jest's configuration",
    worker: process.env.JEST_WORKER_ID ?? "1",
    beforeAll,
    beforeEach,
    afterEach: (hook: (failed: string | undefined) => Promise<void>) => afterEach(() => hook(failed)),
    afterAll,
  };
  return useDatabaseOf(runner, options);
}
