/** `pglite_devdb.reset_branch(NAME)`: a branch becomes what its source is, under its clients. */
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type DevDb, startDevDb } from "../../src/index.ts";

let db: DevDb;
let admin: pg.Client;
beforeAll(async () => {
  db = await startDevDb({ port: 0, migrations: "none", branches: "on", log: () => undefined });
  admin = new pg.Client(db.url);
  await admin.connect();
  await admin.query("create table t (v int); insert into t values (1)");
});
afterAll(async () => {
  await admin.end();
  await db.close();
});

const urlOf = (branch: string) => db.url.replace(/\/postgres(\?|$)/, `/postgres~${branch}$1`);
const reset = (branch: string) => admin.query(`select pglite_devdb.reset_branch('${branch}')`);

test("a pool stays connected, and finds the source's rows, its settings and its statements", async () => {
  const pool = new pg.Pool({ connectionString: urlOf("pool"), max: 3 });
  const errors: Error[] = [];
  pool.on("error", (error) => errors.push(error));
  await pool.query("set application_name = 'kept'");
  const count = { name: "count", text: "select count(*)::int as count from t" };
  for (let round = 0; round < 5; round++) {
    await reset("pool");
    expect((await pool.query(count)).rows).toEqual([{ count: 1 }]);
    await pool.query("insert into t values (2)");
    expect((await pool.query(count)).rows).toEqual([{ count: 2 }]);
  }
  expect((await pool.query("show application_name")).rows).toEqual([{ application_name: "kept" }]);
  await pool.end();
  expect(errors).toEqual([]);
});

test("a client in a transaction refuses the reset with 55006 and keeps its transaction", async () => {
  const client = new pg.Client(urlOf("busy"));
  await client.connect();
  await client.query("begin; insert into t values (2)");
  await expect(reset("busy")).rejects.toMatchObject({
    code: "55006",
    message: expect.stringContaining("insert into t"),
  });
  await client.query("commit");
  expect((await client.query("select count(*)::int as count from t")).rows).toEqual([{ count: 2 }]);
  await reset("busy");
  expect((await client.query("select count(*)::int as count from t")).rows).toEqual([{ count: 1 }]);
  await client.end();
});

test("branches are reset beside each other while clients come and go", async () => {
  const worker = async (branch: string) => {
    const pool = new pg.Pool({ connectionString: urlOf(branch), max: 3 });
    for (let round = 0; round < 15; round++) {
      await reset(branch);
      const client = new pg.Client(urlOf(branch));
      const work = [1, 2, 3].map(() => pool.query("insert into t values (2)"));
      await Promise.all([client.connect(), ...work]);
      expect((await client.query("select count(*)::int as count from t")).rows).toEqual([{ count: 4 }]);
      // It may still be leaving when the next reset begins.
      void client.end();
    }
    await pool.end();
  };
  await Promise.all(["a", "b", "c", "d"].map(worker));
});
