import pg from "pg";
import { startDevDb } from "pglite-devdb";
import { explore } from "pglite-devdb/explore";

await using db = await startDevDb({ port: 0, migrations: "none" });
const pool = new pg.Pool({ connectionString: db.url });
await pool.query(
  "create table seats (id int, free int); insert into seats values (1, 1); create table sold (who text)",
);

// The application, as it is.
async function buy(who: string) {
  const client = await pool.connect();
  try {
    await client.query("begin");
    const { rows } = await client.query("select free from seats where id = 1");
    if (rows[0].free > 0) {
      await client.query("update seats set free = free - 1 where id = 1");
      await client.query("insert into sold values ($1)", [who]);
    }
    await client.query("commit");
  } catch (error) {
    await client.query("rollback");
    throw error;
  } finally {
    client.release();
  }
}

const report = await explore({
  db,
  actors: { ann: () => buy("ann"), bob: () => buy("bob") },
  invariant: async (sql) => {
    const [sold] = await sql`select count(*) as seats from sold`;
    return sold?.seats <= 1;
  },
});
console.log(`${report.failing.length} of ${report.schedules} schedules sell the seat twice`);
console.log(report.failing[0]?.table);
await pool.end();
