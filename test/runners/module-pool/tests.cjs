const { deepEqual } = require("node:assert/strict");
const pg = require("pg");

/** Three tests that write by the application's pool, and read by a client of their own. */
exports.testPool = ({ test, pool, db, per }) => {
  for (const number of [1, 2, 3]) {
    test(`the pool of the application writes into the database of the ${per}: ${number}`, async () => {
      const before = await pool.query("select count(*)::int as count from people");
      if (per !== "worker") deepEqual(before.rows, [{ count: per === "test" ? 1 : number }]);
      await pool.query("insert into people (name) values ($1)", [`${per} ${number}`]);
      const client = new pg.Client(db.url);
      await client.connect();
      const after = await client.query("select count(*)::int as count from people");
      await client.end();
      deepEqual(after.rows, [{ count: before.rows[0].count + 1 }]);
    });
  }
};
