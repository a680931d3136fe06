import { expect, test } from "@playwright/test";
import pg from "pg";
import { useDatabase } from "pglite-devdb/playwright";

const db = useDatabase({ keepFailed: true });
// Playwright goes on in another process after a test that has failed: this is how its databases are known there.
const marked =
  "select datname from pg_database join pg_shdescription on objoid = oid where description = 'of failed.spec.ts'";

for (const outcome of ["pass", "fail on purpose"]) {
  test(`the first two: ${outcome}`, async () => {
    const client = new pg.Client(db.url);
    await client.connect();
    await client.query(`comment on database "${db.name}" is 'of failed.spec.ts'`);
    await client.end();
    expect(outcome).toBe("pass");
  });
}

test("the database of a test that failed is there, that of one that passed is not", async () => {
  const client = new pg.Client(db.url);
  await client.connect();
  expect((await client.query(marked)).rows).toHaveLength(1);
  await client.end();
});
