import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import pg from "pg";
import { useDatabase } from "pglite-devdb/node-test";

const db = useDatabase({ keepFailed: true });
const names = [];

test("passes", () => {
  names.push(db.name);
});

test("fails on purpose", () => {
  names.push(db.name);
  equal("its database", "kept");
});

test("the database of a test that failed is there, that of one that passed is not", async () => {
  const client = new pg.Client(db.url);
  await client.connect();
  const kept = await client.query("select datname from pg_database where datname = any ($1)", [names]);
  deepEqual(kept.rows, [{ datname: names[1] }]);
  await client.end();
});
