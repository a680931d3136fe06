import { equal, match } from "node:assert/strict";
import { test } from "node:test";
import pg from "pg";
import { useDatabase } from "pglite-devdb/node-test";

const db = useDatabase({ keepFailed: true });
let failed;

test("passes", () => {
  match(db.name, /^test~/);
});

test("fails on purpose", () => {
  failed = db.name;
  equal("its database", "kept");
});

test("the database of the test that failed is kept, and no other one", async () => {
  const client = new pg.Client(db.url);
  await client.connect();
  // A copy of the worker's, or, on a server that is not ours, the test's own.
  const kept = await client.query(
    `select from pg_database where starts_with(datname, $1 || '~') or datname = $1 and datname !~ 'worker_'`,
    [failed],
  );
  equal(kept.rowCount, 1);
  await client.end();
});
