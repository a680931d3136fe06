import { expect, test } from "@playwright/test";
import pg from "pg";
import { useDatabase } from "pglite-devdb/playwright";

const db = useDatabase();

for (const id of [1, 2, 3]) {
  test(`test ${id} finds what the seed has made, and nothing of the others`, async () => {
    expect(process.env.DATABASE_URL).toBe(db.url);
    const client = new pg.Client(db.url);
    await client.connect();
    expect((await client.query("select id, name from people")).rows).toEqual([{ id: 1, name: "Ada" }]);
    await client.query("insert into people (name) values ($1)", [`test ${id}`]);
    await client.end();
  });
}
