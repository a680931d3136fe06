/**
 * `useDatabase`: a database for each test, file or worker, whatever runs the tests.
 *
 * Owns: when one is made, dropped and kept, and `DATABASE_URL` meanwhile. Does not own: how one is made (`database-per-test.ts`), what a
 * runner calls its hooks (`vitest.ts`, `jest.ts`, `playwright.ts`, `node-test.ts`).
 * Invariant: there is one database at a time. It is a branch, never the server brought back: who else uses the server cannot be known here, a reset would take
 * the databases of others and those that are kept, and it would end a client that a test has left at work, which this never does.
 */
import { DatabasesPerTest, type TestDatabase } from "./database-per-test.ts";

/** Whom a database belongs to, and what becomes of it. */
export interface UseDatabaseOptions {
  /** `test` by default. A worker's goes from one file to the next as it was left. */
  readonly per?: "test" | "file" | "worker";
  /** Keeps the database of a test that has failed, and says its URL. In memory it is there until the run ends. */
  readonly keepFailed?: boolean;
}

/** What there is of a runner. */
interface Runner {
  /** Where the run's server is; undefined where the configuration names none. */
  readonly url: string | undefined;
  /** What the configuration lacks then. */
  readonly configuration: string;
  /** Which worker this is. */
  readonly worker: string;
  readonly beforeAll: (hook: () => Promise<void>) => void;
  readonly beforeEach: (hook: () => Promise<void>) => void;
  /** The hook gets the test's name if it has failed. */
  readonly afterEach: (hook: (failed: string | undefined) => Promise<void>) => void;
  readonly afterAll: (hook: () => Promise<void>) => void;
}

/** Registers the hooks, and answers with the database of the test that runs. */
export function useDatabaseOf(runner: Runner, { per = "test", keepFailed = false }: UseDatabaseOptions): TestDatabase {
  if (runner.url === undefined) throw new Error(`useDatabase needs a server: ${runner.configuration}`);
  const use = new UsedDatabase(new DatabasesPerTest(runner.url), keepFailed);
  const begin = per === "test" ? runner.beforeEach : runner.beforeAll;
  begin(() => use.begin((all) => (per === "worker" ? all.ensureWorkers(runner.worker) : all.create())));
  runner.afterEach(async (failed) => {
    if (failed !== undefined) use.failed(failed);
    if (per === "test") await use.end();
  });
  runner.afterAll(async () => {
    if (per === "file") await use.end();
    use.leave();
    await use.close();
  });
  return use;
}

/** The database of the test that runs. */
class UsedDatabase implements TestDatabase {
  readonly #databases: DatabasesPerTest;
  readonly #keepFailed: boolean;
  #current: TestDatabase | undefined;
  #isKept = false;
  #urlBefore: string | undefined;

  constructor(databases: DatabasesPerTest, keepFailed: boolean) {
    this.#databases = databases;
    this.#keepFailed = keepFailed;
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
    this.#isKept = false;
    this.#urlBefore = process.env.DATABASE_URL;
    process.env.DATABASE_URL = this.#current.url;
  }

  failed(test: string): void {
    if (!this.#keepFailed || !this.#current) return;
    this.#isKept = true;
    process.stderr.write(`pglite-devdb: ${JSON.stringify(test)} has failed; its database is kept: ${this.url}\n`);
  }

  async end(): Promise<void> {
    const database = this.#current;
    this.leave();
    if (database && !this.#isKept) await this.#databases.drop(database);
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
