/**
 * Two services on one server, each a process with a pool of its own, one with pg and one with postgres.js: transfers
 * between the same accounts at the same time, and session state under the same names.
 */
import pg from "pg";
import { expect, test } from "vitest";
import { runSeed } from "../../support/random.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { startOurs } from "../support/server-process.ts";
import { besideProcesses, openGate } from "../support/worker-processes.ts";

interface Report {
  readonly done: number;
  readonly refused: number;
  readonly deadlocks: number;
  readonly conflicts: number;
  readonly strange: readonly string[];
}

test(`two services move money between the same accounts and lose none (SEED=${runSeed})`, async () => {
  const server = await startOurs(["--sessions", "isolated"]);
  const keeper = new pg.Client({ connectionString: server.url });
  try {
    await keeper.connect();
    await keeper.query(`
      create table account (id int primary key, cents int not null check (cents >= 0));
      insert into account select n, 1000 from generate_series(0, 7) n;
      create table ledger (service text not null, taken_from int not null, given_to int not null, cents int not null);
      create table finished (service text not null);
      select pg_advisory_lock(1)`);
    const processes = ["pg", "postgres.js"].map((service, at) => ({
      file: "transfers.ts",
      name: `${service}-${runSeed + at}`,
    }));
    const reports = await besideProcesses<Report>(processes, server.url, async () => {
      await openGate(keeper, 2);
      const finished = "select count(*)::int as count from finished";
      await waitUntil("all is moved", async () => (await keeper.query(finished)).rows[0].count === 2, 300_000);
      // Both pools are open still: what they have set is theirs.
      const open = "select count(*)::int as count from pg_stat_activity where application_name like 'service of %'";
      expect((await keeper.query(open)).rows).toEqual([{ count: 10 }]);
      const { rows } = await keeper.query(
        `select coalesce(current_setting('app.service', true), '') as setting, to_regclass('pg_temp.note') as temporary,
           (select count(*)::int from pg_prepared_statements) as prepared`,
      );
      expect(rows).toEqual([{ setting: "", temporary: null, prepared: 0 }]);
    });
    const { rows } = await keeper.query(
      `select id, cents, 1000 + coalesce((select sum(case when given_to = id then l.cents else -l.cents end)::int
         from ledger l where id in (given_to, taken_from)), 0) as expected from account order by id`,
    );
    expect(rows.reduce((sum, { cents }) => sum + cents, 0)).toBe(8000);
    expect(rows.map(({ cents }) => cents)).toEqual(rows.map(({ expected }) => expected));
    const { rows: moved } = await keeper.query(
      "select service, count(*)::int as done from ledger group by 1 order by 1",
    );
    expect(moved).toEqual([
      { service: "pg", done: reports[0]!.done },
      { service: "postgres.js", done: reports[1]!.done },
    ]);
    for (const { done, refused, strange } of reports) expect([done + refused, strange]).toEqual([100, []]);
    // They were in each other's way, and some had to begin again.
    for (const code of ["deadlocks", "conflicts", "refused"] as const) {
      expect(reports[0]![code] + reports[1]![code], code).toBeGreaterThan(0);
    }
  } finally {
    await keeper.end();
    await server.stop();
  }
});
