/**
 * TPC-B by pgbench, eight clients whose transactions overlap: they wait for each other's rows, as one branch is enough
 * for all, and the balances are exact afterwards.
 */
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { isInstalled, requireClient } from "../support/installed.ts";
import { libpqEnvironment, type Run, run } from "../support/run-program.ts";
import { type ServerProcess, startOurs } from "../support/server-process.ts";

let server: ServerProcess;
let client: pg.Client;

beforeAll(async () => {
  if (!isInstalled("pgbench")) return;
  server = await startOurs(["--sessions", "isolated"]);
  client = new pg.Client({ connectionString: server.url });
  await client.connect();
  await pgbench("-i", "-s", "1", "-I", "dtGvpf");
});
beforeEach((context) => requireClient(context, "pgbench"));
afterEach(() => server?.expectHealthy());
afterAll(async () => {
  await client?.end();
  await server?.stop();
});

async function pgbench(...args: string[]): Promise<Run> {
  const result = await run("pgbench", args, { env: libpqEnvironment(server.url) });
  expect(result.code, result.all).toBe(0);
  return result;
}

test.each([
  ["prepared", 25],
  ["extended", 10],
  ["simple", 10],
])("balances are exact after TPC-B by 8 clients, -M %s, %d transactions each", async (protocol, each) => {
  const { rows: before } = await client.query("select count(*)::int as count from pgbench_history");
  const load = ["-n", "-M", protocol, "-c", "8", "-j", "2", "-t", `${each}`];
  const result = await pgbench(...load);
  expect(result.stdout).toContain(`number of transactions actually processed: ${8 * each}/${8 * each}\n`);
  expect(result.stdout).toMatch(/number of failed transactions: 0 \(/);
  const { rows } = await client.query(`
    select (select sum(abalance)::int from pgbench_accounts) as accounts,
      (select sum(tbalance)::int from pgbench_tellers) as tellers,
      (select sum(bbalance)::int from pgbench_branches) as branches,
      (select sum(delta)::int from pgbench_history) as history,
      (select count(*)::int from pgbench_history) as count`);
  const { history } = rows[0];
  expect(rows).toEqual([
    { accounts: history, tellers: history, branches: history, history, count: before[0].count + 8 * each },
  ]);
});
