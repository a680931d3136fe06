import { useDatabase } from "pglite-devdb/vitest";
import postgres from "postgres";
import { expect, test } from "vitest";

const db = useDatabase();
test.each([1, 2, 3, 4, 5])("test %i finds what the seed has made, and nothing of the others", async (id) => {
  expect(process.env.DATABASE_URL).toBe(db.url);
  const sql = postgres(db.url, { max: 2 });
  expect(await sql`select id, name from people`).toEqual([{ id: 1, name: "Ada" }]);
  await sql`insert into people (name) values (${`test ${id}`})`;
  expect(await sql`select count(*)::int as count from people`).toEqual([{ count: 2 }]);
  await sql.end();
});

test("a client that is left open does no harm", async () => {
  const sql = postgres(db.url, { max: 1 });
  expect(await sql`select count(*)::int as count from people`).toEqual([{ count: 1 }]);
});
