import { useDatabase } from "pglite-devdb/vitest";
import postgres from "postgres";
import { expect, test } from "vitest";

const db = useDatabase({ keepFailed: true });
const names: string[] = [];

test("passes", () => {
  names.push(db.name);
});

test("fails on purpose", () => {
  names.push(db.name);
  expect("its database").toBe("kept");
});

test("the database of a test that failed is there, that of one that passed is not", async () => {
  const sql = postgres(db.url, { max: 1 });
  expect(await sql`select datname from pg_database where datname in ${sql(names)}`).toEqual([{ datname: names[1] }]);
  await sql.end();
});
