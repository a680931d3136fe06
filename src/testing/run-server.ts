/**
 * The server of a run of tests.
 *
 * Owns: starting it in the runner's main process, and its end. Does not own: when (the runners' files), what tests know of it (`run-address.ts`).
 * Invariant: nobody is given the migrated database itself, so that every test finds what the first one has found.
 */
import { type DevDb, type DevDbOptions, startDevDb } from "../index.ts";
import { DatabasesPerTest } from "./database-per-test.ts";
import { tellServerOfRun } from "./run-address.ts";

/** Tests have branches of this database. */
const template = "test";

/** Starts it. Where there cannot be branches that is said here, and not by each test. */
export async function startForRun(root: string, options: DevDbOptions): Promise<DevDb> {
  const db = await startDevDb({ port: 0, cwd: root, database: template, sessions: "isolated", ...options });
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

/** As `startForRun`, and tells the processes of the tests. The answer ends it. */
export async function serveRun(root: string, options: DevDbOptions): Promise<() => Promise<void>> {
  const db = await startForRun(root, options);
  tellServerOfRun(db.url);
  return () => {
    tellServerOfRun(undefined);
    return db.close();
  };
}
