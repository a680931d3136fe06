import { useDatabase } from "pglite-devdb/vitest";
import postgres from "postgres";
import { expect, test } from "vitest";

const db = useDatabase({ per: "worker" });

test("a worker keeps its database, which no other one has", async () => {
  expect(db.name).toBe(`test_worker_${process.env.VITEST_POOL_ID}`);
  const sql = postgres(db.url, { max: 1 });
  await sql`insert into people (name) values (${`${process.env.VITEST_POOL_ID} ${crypto.randomUUID()}`})`;
  const others =
    await sql`select * from people where name <> 'Ada' and name not like ${`${process.env.VITEST_POOL_ID} %`}`;
  expect(others).toEqual([]);
  await sql.end();
});
