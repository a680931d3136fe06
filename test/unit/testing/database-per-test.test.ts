/** The connection by which databases of tests are made and dropped. */
import { expect, onTestFinished, test } from "vitest";
import { freePort } from "../../../src/dev-db/servers/free-port.ts";
import { startDevDb } from "../../../src/index.ts";
import { DatabasesPerTest } from "../../../src/testing/database-per-test.ts";

test("a connection that was refused, or has ended, is made again by the next call", async () => {
  const port = await freePort();
  const databases = new DatabasesPerTest(`postgresql://postgres:postgres@127.0.0.1:${port}/test`);
  onTestFinished(() => databases.close());
  await expect(databases.dropWorkers()).rejects.toThrow("could not connect");
  const start = () => startDevDb({ port, migrations: "none", database: "test" });
  for (let round = 0; round < 2; round++) {
    await using _ = await start();
    await databases.dropWorkers();
  }
});
