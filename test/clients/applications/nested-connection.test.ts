/**
 * The application that needs a second connection while its transaction is open on the first: an ORM beside a library with
 * a connection of its own, a hook that logs, a pool that is asked again inside of `transaction(…)`.
 *
 * Nothing here is timed: every timeout is out of reach, so that an end at all means that nobody waited for one.
 */
import pg from "pg";
import { expect, test } from "vitest";
import { atOnce } from "../support/at-once.ts";
import { startOurs } from "../support/server-process.ts";

async function withPool(work: (pool: pg.Pool) => Promise<void>): Promise<void> {
  const server = await startOurs(["--transaction-idle-timeout", "600000", "--stall-timeout", "600000"]);
  const pool = new pg.Pool({ connectionString: server.url, max: 20 });
  try {
    await pool.query("create table orders (id int primary key, state text not null); create table audit (id int)");
    await work(pool);
    await server.expectHealthy();
  } finally {
    await pool.end();
    await server.stop();
  }
}

/** Places an order in a transaction, and meanwhile asks and writes over a second connection of the pool. */
async function placeOrder(pool: pg.Pool, id: number): Promise<unknown> {
  const client = await pool.connect();
  let ended: Error | undefined;
  client.on("error", (error) => {
    ended ??= error;
  });
  try {
    await client.query("begin");
    await client.query("insert into orders values ($1, 'placed')", [id]);
    const { rows } = await pool.query("select count(*)::int as visible from orders where id = $1", [id]);
    await pool.query("insert into audit values ($1)", [id]);
    await client.query("update orders set state = 'paid' where id = $1", [id]);
    await client.query("commit");
    return rows[0]?.visible;
  } catch (error) {
    throw ended ?? error;
  } finally {
    client.release(ended !== undefined);
  }
}

test("a second connection inside of a transaction waits for no timeout, ten of them at a time", async () => {
  await withPool(async (pool) => {
    for (let round = 0; round < 3; round++) {
      const visible = await atOnce(10, (n) => placeOrder(pool, round * 10 + n));
      expect(visible, "orders that are not committed").toEqual(Array.from({ length: 10 }, () => 0));
    }
    const { rows } = await pool.query(
      "select (select count(*)::int from orders where state = 'paid') as paid, (select count(*)::int from audit) as noted",
    );
    expect(rows).toEqual([{ paid: 30, noted: 30 }]);
  });
});
