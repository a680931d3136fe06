import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import pg from "pg";
import { useDatabase } from "pglite-devdb/node-test";

const db = useDatabase({ per: "worker" });

test("a worker has its database", async () => {
  equal(db.name.replace(/run_[0-9a-f]{8}~/, ""), `test~worker_${process.env.NODE_TEST_WORKER_ID ?? process.pid}`);
  const client = new pg.Client(db.url);
  await client.connect();
  deepEqual((await client.query("select name from people")).rows, [{ name: "Ada" }]);
  await client.end();
});
