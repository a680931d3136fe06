/**
 * `drizzle-kit push` while the application runs: with open connections, a transaction open on another table, and queries
 * to the table that push alters.
 *
 * Owns: that neither waits for the other, and that each ends with what it was to do. Does not own: what push makes of a
 * schema (`../drizzle-kit.test.ts`).
 *
 * @module-tag long
 */
import { join } from "node:path";
import pg from "pg";
import { expect, test } from "vitest";
import { waitUntil } from "../../support/wait-until.ts";
import { atOnce } from "../support/at-once.ts";
import { type Run, run } from "../support/run-program.ts";
import { root, startOurs } from "../support/server-process.ts";

/** Brings the database to the schema test/clients/programs/SCHEMA.ts. */
async function push(url: string, schema: string): Promise<Run> {
  const program = join(root, "node_modules", "drizzle-kit", "bin.cjs");
  const args = ["push", "--force", "--dialect", "postgresql", "--url", url];
  const file = `./test/clients/programs/${schema}.ts`;
  const result = await run(process.execPath, [program, ...args, "--schema", file], { cwd: root, input: "" });
  expect(result.code, result.all).toBe(0);
  expect(result.stdout).toContain("Changes applied");
  return result;
}

/** The application's clients insert parcels and read them back until `isOver`; resolves with how many each inserted. */
function keepBusy(pool: pg.Pool, isOver: () => boolean): Promise<number[]> {
  return atOnce(4, async (me) => {
    const label = `of client ${me}`;
    let inserted = 0;
    for (; !isOver(); inserted++) {
      // Prepared once in each session, before and after the table changed.
      await pool.query({
        name: "insert",
        text: "insert into parcels (label, size) values ($1, $2)",
        values: [label, "small"],
      });
      const count = {
        name: "count",
        text: "select count(*)::int as count from parcels where label = $1",
        values: [label],
      };
      expect((await pool.query(count)).rows).toEqual([{ count: inserted + 1 }]);
    }
    return inserted;
  });
}

test("drizzle-kit push alters a table that a running application uses, beside an open transaction", async () => {
  // Nobody is to be freed by a timeout.
  const server = await startOurs(["--sessions", "isolated", "--transaction-idle-timeout", "600000"]);
  const pool = new pg.Pool({ connectionString: server.url, max: 4 });
  const writer = new pg.Client({ connectionString: server.url });
  const columns = async () => {
    const text = "select attname from pg_attribute where attrelid = 'parcels'::regclass and attnum > 0 order by attnum";
    return (await pool.query(text)).rows.map(({ attname }) => attname);
  };
  let over = false;
  try {
    await push(server.url, "drizzle-before");
    expect(await columns()).toEqual(["id", "label", "size", "remark"]);
    await writer.connect();
    await writer.query("create schema billing; create table billing.invoice (n int)");
    await writer.query("begin; insert into billing.invoice values (1)");
    const before = await writer.query("select pg_current_xact_id()::text as id");
    const busy = keepBusy(pool, () => over);
    const parcels = async () => (await pool.query("select count(*)::int as count from parcels")).rows[0].count;
    // One that fails must not be waited for in vain.
    const fails = busy.then(() => new Promise<never>(() => {}));
    await Promise.race([waitUntil("the application is at work", async () => (await parcels()) > 20), fails]);
    await Promise.race([push(server.url, "drizzle-after"), fails]);
    expect(await columns()).toEqual(["id", "label", "size", "remark", "depot_id", "weight"]);
    const pushed = await parcels();
    await Promise.race([
      waitUntil("it goes on with the new table", async () => (await parcels()) > pushed + 20),
      fails,
    ]);
    over = true;
    const inserted = (await busy).reduce((sum, count) => sum + count, 0);
    expect(await pool.query("select count(*)::int as count, sum(weight)::int as weight from parcels")).toMatchObject({
      rows: [{ count: inserted, weight: 7 * inserted }],
    });
    expect((await pool.query("select * from billing.invoice")).rows).toEqual([]);
    // The transaction from before push is still the same, and commits.
    expect((await writer.query("select n, pg_current_xact_id()::text as id from billing.invoice")).rows).toEqual([
      { n: 1, id: before.rows[0].id },
    ]);
    await writer.query("commit");
    expect((await pool.query("select * from billing.invoice")).rows).toEqual([{ n: 1 }]);
  } finally {
    over = true;
    await writer.end();
    await pool.end();
    await server.stop();
  }
});
