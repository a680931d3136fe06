/**
 * `pglite-devdb/node-test`: one server for a run of node:test, and a database for each test, file or worker.
 *
 * Owns: the module of `--test-global-setup`, and which hooks of node:test are used. Does not own: the server (`run-server.ts`), what the
 * hooks do (`use-database.ts`).
 */
import { after, afterEach, before, beforeEach } from "node:test";
import type { DevDbOptions } from "../index.ts";
import type { TestDatabase } from "./database-per-test.ts";
import { serverOfRun } from "./run-address.ts";
import { type UseDatabaseOptions, useDatabaseOf } from "./use-database.ts";

export type { TestDatabase } from "./database-per-test.ts";
export type { UseDatabaseOptions } from "./use-database.ts";

/** What the module exports that `--test-global-setup` names. */
interface GlobalSetup {
  readonly globalSetup: () => Promise<void>;
  readonly globalTeardown: () => Promise<void>;
}

/** What a hook is told of its test, and the types of Node do not have. */
interface Outcome {
  readonly passed: boolean;
}

/** For the exports of that module: the run has a server. The options are those of `startDevDb`. */
export function devDb(options: DevDbOptions = {}): GlobalSetup {
  let end: (() => Promise<void>) | undefined;
  const optionsBefore = process.env.NODE_OPTIONS;
  return {
    globalSetup: async () => {
      // Tests import this module, too, and need no server of their own.
      const { serveRun } = await import("./run-server.ts");
      ({ end } = await serveRun(process.cwd(), options));
      const worker = new URL("node-test-worker.js", import.meta.url).href;
      process.env.NODE_OPTIONS = `${optionsBefore ?? ""} --import=${worker}`;
    },
    globalTeardown: async () => {
      if (optionsBefore === undefined) delete process.env.NODE_OPTIONS;
      else process.env.NODE_OPTIONS = optionsBefore;
      await end?.();
    },
  };
}

/**
 * A database of the test's own, migrated and seeded, for the tests of this file or `describe`. Its `url` is also in
 * `process.env.DATABASE_URL` meanwhile. Where a client is left open the database stays until the end of the run.
 */
export function useDatabase(options: UseDatabaseOptions = {}): TestDatabase {
  const runner = {
    server: serverOfRun(),
    configuration:
      "node --test --test-global-setup=FILE, where FILE has: export const { globalSetup, globalTeardown } = devDb()",
    // A process has one file, unless files are not isolated; then there is one process.
    worker: process.env.NODE_TEST_WORKER_ID ?? String(process.pid),
    beforeAll: before,
    beforeEach,
    afterEach: (hook: (failed: string | undefined) => Promise<void>) =>
      afterEach((context) => hook((context as Outcome).passed ? undefined : context.name)),
    afterAll: after,
  };
  return useDatabaseOf(runner, options);
}
