/**
 * `useDatabase`: a database for each test, file or worker, whatever runs the tests.
 *
 * Owns: when one is made, renewed, dropped and kept, and `DATABASE_URL` for that time. Does not own: how one is made
 * (`database-per-test.ts`), what a runner calls its hooks (`vitest.ts`, `jest.ts`, `playwright.ts`, `node-test.ts`).
 * Invariant: a process has one database at a time. On our server it is the worker's, under one name, which is renewed for each test or
 * file: a pool that the application has made at its import uses the same database as the test.
 */
import { DatabasesPerTest, type TestDatabase } from "./database-per-test.ts";
import { isUnnamedWorker, leadToDatabase, type ServerEnvironment } from "./run-address.ts";

/** Whom a database belongs to, and what becomes of it. */
export interface UseDatabaseOptions {
  /** `test` by default. A worker's goes from one file to the next as it was left. */
  readonly per?: "test" | "file" | "worker";
  /** Keeps the database of a test that has failed, and says its URL. In memory it is there until the run ends. */
  readonly keepFailed?: boolean;
}

/** What there is of a runner. */
interface Runner {
  /** The run's server; undefined where the configuration names none. */
  readonly server: ServerEnvironment | undefined;
  /** What the configuration lacks then. */
  readonly configuration: string;
  /** What leads a worker to its database before its test file is imported, where that is said apart. */
  readonly leads?: string;
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
  const { server, worker, leads } = runner;
  if (!server) throw new Error(`useDatabase needs a server: ${runner.configuration}`);
  if (leads !== undefined && isUnnamedWorker()) throw new Error(`useDatabase needs ${leads}`);
  const use = new UsedDatabase(new DatabasesPerTest(server.DATABASE_URL!), worker, keepFailed);
  const begin = per === "test" ? runner.beforeEach : runner.beforeAll;
  begin(() => use.begin(per));
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
  readonly #worker: string;
  readonly #keepFailed: boolean;
  #current: TestDatabase | undefined;
  /** Whether it is a test's only, and not the worker's. */
  #isOwn = false;
  #failed: string | undefined;
  #leadBack: (() => void) | undefined;

  constructor(databases: DatabasesPerTest, worker: string, keepFailed: boolean) {
    this.#databases = databases;
    this.#worker = worker;
    this.#keepFailed = keepFailed;
  }

  get url(): string {
    return this.#now().url;
  }

  get name(): string {
    return this.#now().name;
  }

  async begin(per: NonNullable<UseDatabaseOptions["per"]>): Promise<void> {
    if (this.#current)
      throw new Error('tests that run at once cannot have one database each: useDatabase({ per: "file" })');
    const workers =
      per === "worker"
        ? await this.#databases.ensureWorkers(this.#worker, warnOfUse)
        : await this.#databases.renewWorkers(this.#worker, warnOfUse);
    this.#current = workers ?? (await this.#databases.create());
    this.#isOwn = workers === undefined;
    this.#leadBack = leadToDatabase(this.#current);
  }

  failed(test: string): void {
    this.#failed = test;
  }

  async end(): Promise<void> {
    const [database, failed] = [this.#current, this.#failed];
    this.leave();
    this.#failed = undefined;
    if (!database) return;
    if (failed !== undefined && this.#keepFailed) await this.#keep(database, failed);
    else if (this.#isOwn) await this.#databases.drop(database);
  }

  /** Keeps a copy, because the next test uses the worker's database. */
  async #keep(database: TestDatabase, failed: string): Promise<void> {
    const kept = this.#isOwn ? database : await this.#databases.keep(database, failed);
    const test = `pglite-devdb: ${JSON.stringify(failed)} has failed`;
    if (kept) process.stderr.write(`${test}; its database is kept: ${kept.url}\n`);
    else process.stderr.write(`${test}; its database could not be kept: a client was in a transaction\n`);
  }

  leave(): void {
    this.#current = undefined;
    this.#leadBack?.();
    this.#leadBack = undefined;
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

function warnOfUse(message: string): void {
  process.stderr.write(
    `pglite-devdb: ${message}. This test gets a database with another name; a pool from an earlier test does not use it\n`,
  );
}
