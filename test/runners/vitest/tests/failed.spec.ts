import { useDatabase } from "pglite-devdb/vitest";
import postgres from "postgres";
import { expect, test } from "vitest";

const db = useDatabase({ keepFailed: true });
let failed = "";

test("passes", () => {
  expect(db.name).toMatch(/^test~/);
});

test("fails on purpose", () => {
  failed = db.name;
  expect("its database").toBe("kept");
});

test("the database of the test that failed is kept, and no other one", async () => {
  const sql = postgres(db.url, { max: 1 });
  // A copy of the worker's, or, on a server that is not ours, the test's own.
  const kept = await sql`select from pg_database
    where starts_with(datname, ${`${failed}~`}) or datname = ${failed} and datname !~ 'worker_'`;
  expect(kept).toHaveLength(1);
  await sql.end();
});
