const pg = require("pg");
const { useDatabase } = require("pglite-devdb/jest");

const db = useDatabase({ per: "worker" });

test("a worker has its database", async () => {
  expect(db.name.replace(/run_[0-9a-f]{8}~/, "")).toBe(`test~worker_${process.env.JEST_WORKER_ID}`);
  const client = new pg.Client(db.url);
  await client.connect();
  expect((await client.query("select name from people")).rows).toEqual([{ name: "Ada" }]);
  await client.end();
});
