/** A cluster: a coordinator whose tables have their partitions on other servers (postgres_fdw), by its URL. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { expect, test } from "vitest";
import { type DevDb, startDevDb } from "../../src/index.ts";
import { runCli, temporaryDirectory } from "../support/cli-process.ts";
import { query } from "../support/query.ts";
import { at, requireNative, startNative } from "./support/native.ts";

/** The migrations of a project whose orders are on two other servers, by the customer's number. */
function project(shards: readonly DevDb[]): string {
  const cwd = temporaryDirectory();
  mkdirSync(join(cwd, "migrations"));
  const [first, ...others] = shards.map(
    ({ host, port, url }, n) => `
      create server shard${n} foreign data wrapper postgres_fdw options (host '${host}', port '${port}', dbname 'shard');
      create user mapping for public server shard${n} options (user 'postgres', password '${new URL(url).password}');
      create foreign table orders_${n} partition of orders for values with (modulus ${shards.length}, remainder ${n})
        server shard${n} options (table_name 'orders');`,
  );
  const orders = "create table orders (customer int not null, cents int not null) partition by hash (customer);";
  const customers = "create table customers as select n as id from generate_series(1, 20) as n;";
  writeFileSync(
    join(cwd, "migrations/1_coordinator.sql"),
    ["create extension postgres_fdw;", orders, first].join("\n"),
  );
  writeFileSync(join(cwd, "migrations/2_shards.sql"), [...others, customers].join("\n"));
  return cwd;
}

test("migrations, clients at once and branches on a coordinator", { tags: "long" }, async (context) => {
  requireNative(context);
  await using coordinator = await startNative();
  await using one = await startNative({ database: "shard" });
  await using two = await startNative({ database: "shard" });
  const shards = [one, two];
  for (const { url } of shards) await query(url, "create table orders (customer int not null, cents int not null)");
  const cwd = project(shards);
  const engine = at(coordinator.url, "shop");
  await using db = await startDevDb({ engine, cwd, migrations: "migrations" });
  expect(db.migrationsApplied).toEqual(["1_coordinator.sql", "2_shards.sql"]);

  const pool = new pg.Pool({ connectionString: db.url, max: 8 });
  const order = (customer: number) => pool.query("insert into orders values ($1, 5)", [customer]);
  await Promise.all(Array.from({ length: 80 }, (_, n) => order(1 + (n % 20))));
  const bill = "select count(*)::int as count, sum(cents)::int as cents from customers join orders on customer = id";
  expect((await pool.query(bill)).rows).toEqual([{ count: 80, cents: 400 }]);
  const each = await Promise.all(shards.map(({ url }) => query(url, "select count(*)::int from orders")));
  expect(each.flat().every((count) => Number(count) > 0)).toBe(true);
  expect(Number(each.flat()[0]) + Number(each.flat()[1])).toBe(80);

  // What is on other servers is theirs, also for a branch; what is on the coordinator is the branch's own.
  await using branch = await db.branch("w1");
  await query(branch.url, "delete from customers");
  expect(await query(branch.url, "select count(*)::int from orders")).toEqual([80]);
  expect((await pool.query("select count(*)::int as count from customers")).rows).toEqual([{ count: 20 }]);
  await pool.end();

  const again = await runCli(["run", "--engine", engine, "--migrations", "migrations", "--", "true"], { cwd });
  expect(again).toMatchObject({ code: 0 });
  const doctor = await runCli(["doctor", engine], { cwd });
  expect(doctor).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/^STOP +extension postgres_fdw .* is not here: /m),
  });
});
