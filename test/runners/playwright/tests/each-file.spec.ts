import { expect, test } from "@playwright/test";
import pg from "pg";
import { useDatabase } from "pglite-devdb/playwright";

const db = useDatabase({ per: "file" });
let client: pg.Client;
test.beforeAll(async () => {
  client = new pg.Client(db.url);
  await client.connect();
});
test.afterAll(() => client.end());

for (const count of [2, 3]) {
  test(`the tests of a file go on where the one before was: ${count}`, async () => {
    await client.query("insert into people (name) values ($1)", [`name ${count}`]);
    expect((await client.query("select count(*)::int as count from people")).rows).toEqual([{ count }]);
  });
}
