/**
 * `pglite-devdb/vitest`: one server for a run of vitest, and a database for each test, file or worker.
 *
 * Owns: the plugin of vitest's configuration, and the hooks of `useDatabase`. Does not own: the server (`vitest-setup.ts`), how a
 * database is made (`database-per-test.ts`).
 * Invariant: the server runs in vitest's main process, and ends with the run; workers know no more than its URL.
 */
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, inject } from "vitest";
import type { DevDbOptions } from "../index.ts";
import { DatabasesPerTest, type TestDatabase } from "./database-per-test.ts";
import { rememberOptions } from "./vitest-options.ts";

export type { TestDatabase } from "./database-per-test.ts";

declare module "vitest" {
  interface ProvidedContext {
    pgliteDevDb: { readonly id: string; readonly url?: string };
  }
}

/** Whom a database belongs to. */
export interface UseDatabaseOptions {
  /** `test` by default. A worker's goes from one file to the next as it was left. */
  readonly per?: "test" | "file" | "worker";
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
export function useDatabase({ per = "test" }: UseDatabaseOptions = {}): TestDatabase {
  const { url } = inject("pgliteDevDb") ?? {};
  if (url === undefined) throw new Error("useDatabase needs the plugin in vitest's configuration: plugins: [devDb()]");
  const use = new UsedDatabase(new DatabasesPerTest(url));
  if (per === "test") {
    beforeEach(() => use.begin((all) => all.create()));
    afterEach(() => use.end());
  } else if (per === "file") {
    beforeAll(() => use.begin((all) => all.create()));
    afterAll(() => use.end());
  } else {
    beforeAll(() => use.begin((all) => all.ensure(`worker_${process.env.VITEST_POOL_ID ?? "1"}`)));
    afterAll(() => use.leave());
  }
  afterAll(() => use.close());
  return use;
}

/** The database of the test that runs. */
class UsedDatabase implements TestDatabase {
  readonly #databases: DatabasesPerTest;
  #current: TestDatabase | undefined;
  #urlBefore: string | undefined;

  constructor(databases: DatabasesPerTest) {
    this.#databases = databases;
  }

  get url(): string {
    return this.#now().url;
  }

  get name(): string {
    return this.#now().name;
  }

  async begin(make: (databases: DatabasesPerTest) => Promise<TestDatabase>): Promise<void> {
    if (this.#current)
      throw new Error('tests that run at once cannot have one database each: useDatabase({ per: "file" })');
    this.#current = await make(this.#databases);
    this.#urlBefore = process.env.DATABASE_URL;
    process.env.DATABASE_URL = this.#current.url;
  }

  async end(): Promise<void> {
    const database = this.#current;
    this.leave();
    if (database) await this.#databases.drop(database);
  }

  leave(): void {
    if (!this.#current) return;
    this.#current = undefined;
    if (this.#urlBefore === undefined) delete process.env.DATABASE_URL;
    else process.env.DATABASE_URL = this.#urlBefore;
  }

  close(): Promise<void> {
    return this.#databases.close();
  }

  #now(): TestDatabase {
    if (!this.#current)
      throw new Error("there is a database while a test runs, and not before: ask for its url in the test or a hook");
    return this.#current;
  }
}
