/**
 * pgbench with eight clients: its own TPC-B in all three protocols, and scripts of ours.
 *
 * Owns: that what pgbench reports and what is in the tables agree to the row. Does not own: speed.
 *
 * @module-tag long
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { majorVersion, requireClient } from "./support/installed.ts";
import { libpqEnvironment, type Run, run } from "./support/run-program.ts";
import { type ServerProcess, startOurs } from "./support/server-process.ts";

const protocols = ["simple", "extended", "prepared"] as const;
const clients = 8;
const transactionsEach = 25;
let directory: string;
let server: ServerProcess;
let sql: postgres.Sql;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "pgbench-"));
  server = await startOurs();
  sql = postgres(server.url, { max: 1, onnotice: () => {} });
});
afterAll(async () => {
  await sql?.end({ timeout: 5 });
  await server?.stop();
  rmSync(directory, { recursive: true, force: true });
});
beforeEach((context) => requireClient(context, "pgbench"));
afterEach(() => server.expectHealthy());

/** Runs pgbench and expects that it ended well; `-n`: no vacuum before. */
async function pgbench(...args: string[]): Promise<Run> {
  const result = await run("pgbench", args, { env: libpqEnvironment(server.url) });
  expect(result.code, result.all).toBe(0);
  return result;
}

/** What pgbench says that it did: all of it, and nothing failed. */
function expectProcessed(result: Run, count: number): void {
  expect(result.stdout).toContain(`number of transactions actually processed: ${count}/${count}\n`);
  expect(result.stdout).toMatch(/number of failed transactions: 0 \(/);
  expect(result.stderr).not.toMatch(/error|fatal|abort/i);
}

async function script(name: string, text: string): Promise<string> {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

describe("pgbench -i", () => {
  // Letters as in the manual: drop, create, generate on the client (COPY) or the server, vacuum, keys, foreign keys.
  test.each(["dtgvpf", "dtGvpf"])("loads its tables, steps %s", async (steps) => {
    await pgbench("-i", "-s", "1", "-I", steps);
    const [counts] = await sql`
      select (select count(*)::int from pgbench_branches) branches, (select count(*)::int from pgbench_tellers) tellers,
        (select count(*)::int from pgbench_accounts) accounts, (select sum(aid)::text from pgbench_accounts) aids,
        (select sum(abalance)::int from pgbench_accounts) balance,
        (select count(*)::int from pg_constraint where conrelid::regclass::text like 'pgbench_%' and contype in ('p', 'f')) keys`;
    expect(counts).toEqual({
      branches: 1,
      tellers: 10,
      accounts: 100_000,
      aids: "5000050000",
      balance: 0,
      keys: 8,
    });
  });
});

describe.each(protocols)("-M %s", (protocol) => {
  const load = ["-n", "-c", `${clients}`, "-t", `${transactionsEach}`, "-M", protocol];

  test.each(["1", "4"])("TPC-B by 8 clients on %s threads leaves exact balances", async (threads) => {
    await sql`truncate pgbench_history`;
    const balances = () => sql`
      select (select sum(abalance)::int from pgbench_accounts) accounts,
        (select sum(tbalance)::int from pgbench_tellers) tellers, (select sum(bbalance)::int from pgbench_branches) branches`;
    const [before] = await balances();
    expectProcessed(await pgbench(...load, "-j", threads), clients * transactionsEach);
    const [history] = await sql`select count(*)::int as count, sum(delta)::int as delta from pgbench_history`;
    const [after] = await balances();
    expect(history!.count).toBe(clients * transactionsEach);
    expect([after!.accounts, after!.tellers, after!.branches]).toEqual(
      [before!.accounts, before!.tellers, before!.branches].map((balance) => balance + history!.delta),
    );
  });

  test("a script that checks its own reads sees no other client's rows or parameters", async () => {
    await sql`drop table if exists noted`;
    await sql`create table noted (client integer, n integer, twice integer)`;
    const path = await script(
      "checks.sql",
      `\\set n random(1, 1000000)
       insert into noted values (:client_id, :n, :n::int * 2);
       select :n::int + :client_id::int as sum, :client_id::int as me \\gset
       \\if :sum <> :n + :client_id or :me <> :client_id
         select 1 / 0;
       \\endif
       select count(*) as mine from noted where client = :client_id::int \\gset
       select 'five', :n::int + 1, :n::int + 2, :n::int + 3, :client_id::int;`,
    );
    expectProcessed(await pgbench(...load, "-j", "2", "-f", path), clients * transactionsEach);
    const notes = await sql`
      select client, count(*)::int as count, count(*) filter (where twice = n * 2)::int as right
      from noted group by client order by client`;
    expect(notes).toEqual(
      Array.from({ length: clients }, (_, client) => ({ client, count: transactionsEach, right: transactionsEach })),
    );
  });

  test("a new connection for every transaction (-C)", async () => {
    await sql`truncate pgbench_history`;
    const each = 5;
    expectProcessed(await pgbench(...load, "-t", `${each}`, "-j", "2", "-C", "-b", "simple-update"), clients * each);
    const [history] = await sql`select count(*)::int as count from pgbench_history`;
    expect(history!.count).toBe(clients * each);
  });

  test("\\startpipeline sends a transaction in one go", async (context) => {
    if (protocol === "simple") context.skip("pgbench has no pipelines in the simple protocol");
    if (majorVersion("pgbench") < 14) context.skip("this pgbench has no \\startpipeline yet");
    await sql`truncate pgbench_history`;
    const [before] = await sql`select sum(abalance)::int as sum from pgbench_accounts`;
    const path = await script(
      "pipeline.sql",
      `\\set aid random(1, 100000)
       \\set delta random(-5000, 5000)
       \\startpipeline
       begin;
       update pgbench_accounts set abalance = abalance + :delta where aid = :aid;
       select abalance from pgbench_accounts where aid = :aid;
       insert into pgbench_history (tid, bid, aid, delta, mtime) values (1, 1, :aid, :delta, current_timestamp);
       end;
       select :client_id::int;
       \\endpipeline`,
    );
    expectProcessed(await pgbench(...load, "-j", "2", "-f", path), clients * transactionsEach);
    const [history] = await sql`select count(*)::int as count, sum(delta)::int as delta from pgbench_history`;
    const [after] = await sql`select sum(abalance)::int as sum from pgbench_accounts`;
    expect([history!.count, after!.sum]).toEqual([clients * transactionsEach, before!.sum + history!.delta]);
  });
});
