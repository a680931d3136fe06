import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import pg from "pg";
import { useDatabase } from "pglite-devdb/node-test";

const db = useDatabase();

for (const id of [1, 2, 3]) {
  test(`test ${id} finds what the seed has made, and nothing of the others`, async () => {
    equal(process.env.DATABASE_URL, db.url);
    const client = new pg.Client(db.url);
    await client.connect();
    deepEqual((await client.query("select id, name from people")).rows, [{ id: 1, name: "Ada" }]);
    await client.query("insert into people (name) values ($1)", [`test ${id}`]);
    await client.end();
  });
}
