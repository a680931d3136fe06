/**
 * Statements that pause to spare the disk: PostgreSQL sleeps then with a lock of the short kind (an LWLock), for which the
 * others wait on a semaphore. Where all share a thread, who holds such a lock must not pause.
 */
import { expect, test } from "vitest";
import { productServer } from "../support/product-server.ts";
import { errorFields, message, rows } from "../support/wire-client.ts";

const server = productServer();

test("ANALYZE with vacuum_cost_delay does not hold up who writes to the same pages", async () => {
  const one = await server.login();
  const other = await server.login();
  await one.query("create table t as select i as n, repeat('x', 1000) as pad from generate_series(1, 2000) i");
  await one.query("set vacuum_cost_delay = '100ms'; set vacuum_cost_limit = 1");
  let goesOn = true;
  one.send(message.query("analyze t"));
  const analyzed = one.until("Z").finally(() => {
    goesOn = false;
  });
  let rounds = 0;
  do {
    expect(errorFields(await other.query("update t set n = n + 1"))).toBeUndefined();
    rounds++;
  } while (goesOn && rounds < 20);
  expect(errorFields(await analyzed)).toBeUndefined();
  expect(rows(await other.query("select count(*), min(n) from t"))).toEqual([["2000", String(rounds + 1)]]);
});
