/**
 * The server of a run of tests.
 *
 * Owns: starting it in the runner's main process, and its end. Does not own: when (the runners' files), what tests know of it (`run-address.ts`).
 * Invariant: nobody is given the migrated database itself, so that every test finds what the first one has found.
 */
import { controlDevDb } from "../dev-db/control.ts";
import { engineOf } from "../dev-db/engines.ts";
import type { DevDb, DevDbOptions } from "../index.ts";
import { optionTable, resolveOptions } from "../options.ts";
import { DatabasesPerTest } from "./database-per-test.ts";
import { leadToServer, type ServerEnvironment } from "./run-address.ts";

/** Of the environment's options this one: the same tests on another PostgreSQL, without a change of the configuration. */
const engineVariable = optionTable.engine.environment!;

/** Starts it. Where there cannot be branches that is said here, and not by each test. */
export async function startForRun(root: string, given: DevDbOptions): Promise<DevDb> {
  const { cwd = root, signal, log, ...library } = given;
  const environment = { [engineVariable]: process.env[engineVariable] };
  const { databaseOfTests, isPglite } = engineOf(resolveOptions({ library, environment }));
  const forTests = {
    port: 0,
    sessions: "isolated",
    // A pool that a test file makes at its import may connect before a hook has made its database.
    ...(isPglite ? { branches: "on" } : {}),
    ...(databaseOfTests ? { database: databaseOfTests } : {}),
  } as const;
  const options = resolveOptions({ library: { ...forTests, ...library }, environment });
  const db = await controlDevDb(options, { cwd, signal, log, keepsStates: true, forBranches: true }).start();
  const databases = new DatabasesPerTest(db.url);
  try {
    // In a directory there may be those of the last run's workers, with its rows and of its migrations.
    await databases.dropWorkers();
    return db;
  } catch (error) {
    await db.close();
    throw error;
  } finally {
    await databases.close();
  }
}

/** The server of a run. */
interface RunServer {
  readonly environment: ServerEnvironment;
  end(): Promise<void>;
}

/** Starts the server of a run, and leads this process and those of the tests to it. */
export async function serveRun(root: string, options: DevDbOptions): Promise<RunServer> {
  const db = await startForRun(root, options);
  const leadBack = leadToServer(db.env);
  const end = () => {
    leadBack();
    return db.close();
  };
  return { environment: db.env, end };
}
