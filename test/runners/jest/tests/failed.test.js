const pg = require("pg");
const { useDatabase } = require("pglite-devdb/jest");

const db = useDatabase({ keepFailed: true });
let failed;

test("passes", () => {
  expect(db.name).toMatch(/^test~/);
});

test("fails on purpose", () => {
  failed = db.name;
  expect("its database").toBe("kept");
});

test("the database of the test that failed is kept, and no other one", async () => {
  const client = new pg.Client(db.url);
  await client.connect();
  // A copy of the worker's, or, on a server that is not ours, the test's own.
  const kept = await client.query(
    `select from pg_database where starts_with(datname, $1 || '~') or datname = $1 and datname !~ 'worker_'`,
    [failed],
  );
  expect(kept.rowCount).toBe(1);
  await client.end();
});
