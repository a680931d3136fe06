import { deepEqual } from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import pg from "pg";
import { useDatabase } from "pglite-devdb/node-test";

// The hooks of a `describe` run one after the other; node:test runs those of a file itself at once.
describe("a file with one database", () => {
  const db = useDatabase({ per: "file" });
  let client;
  before(async () => {
    client = new pg.Client(db.url);
    await client.connect();
  });
  after(() => client.end());

  for (const count of [2, 3]) {
    test(`the tests of a file go on where the one before was: ${count}`, async () => {
      await client.query("insert into people (name) values ($1)", [`name ${count}`]);
      deepEqual((await client.query("select count(*)::int as count from people")).rows, [{ count }]);
    });
  }
});
