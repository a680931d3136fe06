/**
 * `pglite-devdb/playwright`: one server for a run of Playwright's tests, and a database for each test, file or worker.
 *
 * Owns: what Playwright's configuration gets, and which of its hooks are used. Does not own: the server (`playwright-setup.ts`), what the
 * hooks do (`use-database.ts`).
 */
import { fileURLToPath } from "node:url";
import { test } from "@playwright/test";
import type { DevDbOptions } from "../index.ts";
import type { TestDatabase } from "./database-per-test.ts";
import { leadToWorker, serverOfRun } from "./run-address.ts";
import { rememberOptions } from "./run-options.ts";
import { type UseDatabaseOptions, useDatabaseOf } from "./use-database.ts";

export type { TestDatabase } from "./database-per-test.ts";
export type { UseDatabaseOptions } from "./use-database.ts";

/** What is spread into Playwright's configuration: the run has a server. The options are those of `startDevDb`. */
export function devDb(options: DevDbOptions = {}): { globalSetup: string } {
  rememberOptions(options);
  // A worker reads the configuration, too, before its first test file.
  const worker = process.env.TEST_WORKER_INDEX;
  if (worker !== undefined) leadToWorker(worker);
  return { globalSetup: fileURLToPath(new URL("playwright-setup.js", import.meta.url)) };
}

/**
 * A database of the test's own, migrated and seeded, for the tests of this file or `describe`. Its `url` is also in
 * `process.env.DATABASE_URL` meanwhile. Where a client is left open the database stays until the end of the run.
 */
export function useDatabase(options: UseDatabaseOptions = {}): TestDatabase {
  const runner = {
    server: serverOfRun(),
    configuration: "...devDb() in Playwright's configuration",
    // After a test that has failed there is a new worker, and with it a new database.
    worker: process.env.TEST_WORKER_INDEX ?? "0",
    beforeAll: (hook: () => Promise<void>) => test.beforeAll(() => hook()),
    beforeEach: (hook: () => Promise<void>) => test.beforeEach(() => hook()),
    afterEach: (hook: (failed: string | undefined) => Promise<void>) =>
      test.afterEach(() => {
        const { title, status, expectedStatus } = test.info();
        return hook(status === expectedStatus ? undefined : title);
      }),
    afterAll: (hook: () => Promise<void>) => test.afterAll(() => hook()),
  };
  return useDatabaseOf(runner, options);
}
