/**
 * `pglite-devdb/vitest`: one server for a run of vitest, and a database for each test, file or worker.
 *
 * Owns: the plugin of vitest's configuration, and which of its hooks are used. Does not own: the server (`vitest-setup.ts`), what the hooks do
 * (`use-database.ts`).
 * Invariant: the server runs in vitest's main process, and ends with the run; workers know no more than its URL.
 */
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, inject } from "vitest";
import type { DevDbOptions } from "../index.ts";
import type { TestDatabase } from "./database-per-test.ts";
import { rememberOptions } from "./run-options.ts";
import { type UseDatabaseOptions, useDatabaseOf } from "./use-database.ts";

export type { TestDatabase } from "./database-per-test.ts";
export type { UseDatabaseOptions } from "./use-database.ts";

declare module "vitest" {
  interface ProvidedContext {
    pgliteDevDb: { readonly id: string; readonly url?: string };
  }
}

/** What vitest takes as a plugin. */
interface VitestPlugin {
  readonly name: string;
  readonly config: () => { test: { globalSetup: string[]; provide: { pgliteDevDb: { id: string } } } };
}

/** For `plugins` in vitest's configuration: the run has a server. The options are those of `startDevDb`. */
export function devDb(options: DevDbOptions = {}): VitestPlugin {
  const id = rememberOptions(options);
  const globalSetup = [fileURLToPath(new URL("vitest-setup.js", import.meta.url))];
  return { name: "pglite-devdb", config: () => ({ test: { globalSetup, provide: { pgliteDevDb: { id } } } }) };
}

/**
 * A database of the test's own, migrated and seeded, for the tests of this file or `describe`. Its `url` is also in
 * `process.env.DATABASE_URL` meanwhile. Where a client is left open the database stays until the end of the run.
 */
export function useDatabase(options: UseDatabaseOptions = {}): TestDatabase {
  const runner = {
    url: inject("pgliteDevDb")?.url,
    configuration: "plugins: [devDb()] in vitest's configuration",
    worker: process.env.VITEST_POOL_ID ?? "1",
    beforeAll,
    beforeEach,
    afterEach: (hook: (failed: string | undefined) => Promise<void>) =>
      afterEach(({ task }) => hook(task.result?.state === "fail" ? task.name : undefined)),
    afterAll,
  };
  return useDatabaseOf(runner, options);
}
