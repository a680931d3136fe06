import { expect, test } from "@playwright/test";
import pg from "pg";
import { useDatabase } from "pglite-devdb/playwright";

const db = useDatabase({ keepFailed: true });
// Playwright goes on in another process after a test that has failed: this is how its databases are known there.
const marked = `select from pg_database left join pg_shdescription on objoid = oid
  where case when version() ~ 'PGlite' then datname ~ 'fail-on-purpose' else description = 'of failed.spec.ts' end`;

for (const outcome of ["pass", "fail on purpose"]) {
  test(`the first two: ${outcome}`, async () => {
    const client = new pg.Client(db.url);
    await client.connect();
    await client.query(`comment on database "${db.name}" is 'of failed.spec.ts'`);
    await client.end();
    expect(outcome).toBe("pass");
  });
}

test("the database of the test that failed is kept, and no other one", async () => {
  const client = new pg.Client(db.url);
  await client.connect();
  expect((await client.query(marked)).rows).toHaveLength(1);
  await client.end();
});
