import { useDatabase } from "pglite-devdb/vitest";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";

const db = useDatabase({ per: "file" });
let sql: postgres.Sql;
beforeAll(() => {
  sql = postgres(db.url, { max: 1 });
});
afterAll(() => sql.end());

test.each([2, 3, 4])("the tests of a file go on where the one before was: %i", async (count) => {
  await sql`insert into people (name) values (${`name ${count}`})`;
  expect(await sql`select count(*)::int as count from people`).toEqual([{ count }]);
});
