const pg = require("pg");
const { useDatabase } = require("pglite-devdb/jest");

const db = useDatabase();

test.each([1, 2, 3])("test %i finds what the seed has made, and nothing of the others", async (id) => {
  expect(process.env.DATABASE_URL).toBe(db.url);
  const client = new pg.Client(db.url);
  await client.connect();
  expect((await client.query("select id, name from people")).rows).toEqual([{ id: 1, name: "Ada" }]);
  await client.query("insert into people (name) values ($1)", [`test ${id}`]);
  await client.end();
});
