/**
 * `pglite-devdb/vitest`: one server for a run of vitest, and a database for each test, file or worker.
 *
 * Owns: the plugin of vitest's configuration, which of its hooks are used, and `test.explore`. Does not own: the server (`vitest-setup.ts`), what the
 * hooks do (`use-database.ts`), exploring (`../explore/`).
 * Invariant: the server runs in vitest's main process, and ends with the run; workers know no more than its URL.
 */
import { fileURLToPath } from "node:url";
import type { TestAPI } from "vitest";
import { explore } from "../explore/explore.ts";
import type { ExploreOptions } from "../explore/report.ts";
import { failureOf } from "../explore/verdict.ts";
import type { DevDbOptions } from "../index.ts";
import type { TestDatabase } from "./database-per-test.ts";
import type { ServerEnvironment } from "./run-address.ts";
import { rememberOptions } from "./run-options.ts";
import { type UseDatabaseOptions, useDatabaseOf } from "./use-database.ts";
import { vitestOfWorker } from "./vitest-of-worker.ts";

export type { TestDatabase } from "./database-per-test.ts";
export type { UseDatabaseOptions } from "./use-database.ts";

declare module "vitest" {
  interface ProvidedContext {
    pgliteDevDb: { readonly id: string; readonly environment?: ServerEnvironment };
  }
}

/** The part of vitest's configuration that the plugin changes. */
interface VitestConfig {
  test?: { setupFiles?: string | string[] };
}

/** What vitest takes as a plugin. */
interface VitestPlugin {
  readonly name: string;
  readonly enforce: "post";
  readonly config: (config: VitestConfig) => {
    test: { globalSetup: string[]; provide: { pgliteDevDb: { id: string } } };
  };
}

/** For `plugins` in vitest's configuration: the run has a server. The options are those of `startDevDb`. */
export function devDb(options: DevDbOptions = {}): VitestPlugin {
  const id = rememberOptions(options);
  const fileOf = (name: string) => fileURLToPath(new URL(name, import.meta.url));
  const globalSetup = [fileOf("vitest-setup.js")];
  return {
    name: "pglite-devdb",
    // The setup files of other plugins are there by then.
    enforce: "post",
    config(config) {
      config.test ??= {};
      // Not returned, as Vite would append it: the others may import what connects.
      config.test.setupFiles = [fileOf("vitest-worker.js"), ...[config.test.setupFiles ?? []].flat()];
      return { test: { globalSetup, provide: { pgliteDevDb: { id } } } };
    },
  };
}

/**
 * A database of the test's own, migrated and seeded, for the tests of this file or `describe`. Its `url` is also in
 * `process.env.DATABASE_URL` meanwhile. Where a client is left open the database stays until the end of the run.
 */
export function useDatabase(options: UseDatabaseOptions = {}): TestDatabase {
  const { afterAll, afterEach, beforeAll, beforeEach, inject } = vitestOfWorker();
  const runner = {
    server: inject("pgliteDevDb")?.environment,
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

/** What `test.explore` takes: what `explore()` does, or a function that gives it, for what is not known before the test. */
type Explored = ExploreOptions | (() => ExploreOptions | Promise<ExploreOptions>);

/** For so long a test may explore. */
const exploreMs = 120_000;

/** A test that explores. It fails with the schedule that breaks the invariant, and if it is not sure that there is none. */
function testExplore(name: string, options: Explored, timeoutMs = exploreMs): void {
  vitestOfWorker().test(name, { timeout: timeoutMs }, async () => {
    const given = typeof options === "function" ? await options() : options;
    const failure = failureOf(await explore(given), given);
    if (failure !== undefined) throw new Error(failure);
  });
}

/** vitest's own `test`, and `test.explore(name, options)`. In vitest's configuration, too, where nothing of `test` may be called. */
export const test = new Proxy(() => undefined, {
  get: (_, key) => (key === "explore" ? testExplore : Reflect.get(vitestOfWorker().test, key)),
  apply: (_, self, given) => Reflect.apply(vitestOfWorker().test, self, given),
}) as unknown as TestAPI & { explore: typeof testExplore };
