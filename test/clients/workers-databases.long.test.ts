/**
 * The databases of a run's workers, in a directory that the run before has left.
 *
 * @module-tag long
 */
import { join } from "node:path";
import pg from "pg";
import { expect, test } from "vitest";
import { DatabasesPerTest } from "../../src/testing/database-per-test.ts";
import { startForRun } from "../../src/testing/run-server.ts";
import { temporaryDirectory } from "../support/cli-process.ts";

test("a worker's database goes from file to file, and not to the next run", async () => {
  const directory = join(temporaryDirectory(), "data");
  const tables: string[][] = [];
  for (let run = 0; run < 2; run++) {
    const db = await startForRun(directory, { db: directory, migrations: "none", log: () => {} });
    for (let file = 0; file < 2; file++) {
      const databases = new DatabasesPerTest(db.url);
      const { url } = await databases.ensureWorkers("1", expect.fail);
      const client = new pg.Client(url);
      await client.connect();
      await client.query(`create table made_by_${run}_${file} ()`);
      const { rows } = await client.query("select relname from pg_class where relname like 'made_by%' order by 1");
      tables.push(rows.map(({ relname }) => relname));
      await client.end();
      await databases.close();
    }
    await db.close();
  }
  expect(tables).toEqual([
    ["made_by_0_0"],
    ["made_by_0_0", "made_by_0_1"],
    ["made_by_1_0"],
    ["made_by_1_0", "made_by_1_1"],
  ]);
});
