const pg = require("pg");
const { useDatabase } = require("pglite-devdb/jest");

const db = useDatabase({ keepFailed: true });
const names = [];

test("passes", () => {
  names.push(db.name);
});

test("fails on purpose", () => {
  names.push(db.name);
  expect("its database").toBe("kept");
});

test("the database of a test that failed is there, that of one that passed is not", async () => {
  const client = new pg.Client(db.url);
  await client.connect();
  const kept = await client.query("select datname from pg_database where datname = any ($1)", [names]);
  expect(kept.rows).toEqual([{ datname: names[1] }]);
  await client.end();
});
