const pg = require("pg");
const { useDatabase } = require("pglite-devdb/jest");

const db = useDatabase({ per: "file" });
let client;
beforeAll(async () => {
  client = new pg.Client(db.url);
  await client.connect();
});
afterAll(() => client.end());

test.each([2, 3])("the tests of a file go on where the one before was: %i", async (count) => {
  await client.query("insert into people (name) values ($1)", [`name ${count}`]);
  expect((await client.query("select count(*)::int as count from people")).rows).toEqual([{ count }]);
});
