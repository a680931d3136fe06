import { useDatabase } from "pglite-devdb/vitest";
import postgres from "postgres";
import { expect, test } from "vitest";

/** What each file says of its worker's database. */
export function testWorker(): void {
  const db = useDatabase({ per: "worker" });
  const worker = process.env.VITEST_POOL_ID;

  test("a worker keeps its database, which no other one has", async () => {
    expect(db.name.replace(/run_[0-9a-f]{8}~/, "")).toBe(`test~worker_${worker}`);
    const sql = postgres(db.url, { max: 1 });
    await sql`insert into people (name) values (${`${worker} ${crypto.randomUUID()}`})`;
    const others = await sql`select * from people where name <> 'Ada' and name not like ${`${worker} %`}`;
    expect(others).toEqual([]);
    await sql.end();
  });
}
