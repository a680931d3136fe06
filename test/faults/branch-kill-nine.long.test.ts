/**
 * kill -9 while branches are made, written to and dropped in a directory: each is there as a whole, or not at all.
 *
 * @module-tag long
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { expect, onTestFinished, test } from "vitest";
import { startCli } from "../support/cli-process.ts";
import { Random, runSeed } from "../support/random.ts";

const rounds = 4;

/** A database after a kill. */
interface Found {
  readonly name: string;
  readonly limit: number;
}

/** What has been answered about a branch, and what was asked last. */
interface Known {
  there: boolean;
  asked: "make" | "drop" | undefined;
}

test(`${rounds} kills (SEED=${runSeed})`, { timeout: 240_000 }, async () => {
  const random = new Random(runSeed);
  const root = mkdtempSync(join(tmpdir(), "branch-kill-nine-"));
  onTestFinished(() => rmSync(root, { recursive: true, force: true, maxRetries: 3 }));
  const branches = new Map<string, Known>();
  let checked = 0;
  for (let round = 0; round <= rounds; round++) {
    const cli = startCli([
      "--port",
      "0",
      "-o",
      "json",
      "--db",
      join(root, "data"),
      "--branches",
      "on",
      "-e",
      "amcheck",
    ]);
    const { url } = JSON.parse((await cli.line(/^.*\n/))[0]!) as { url: string };
    const open = (database = "postgres") =>
      postgres(url.replace(/postgres$/, database), { max: 1, onnotice: () => {}, fetch_types: false });
    const sql = open();
    if (round === 0) {
      await sql`create extension amcheck`;
      await sql`create table account (id int primary key, balance int not null)`;
      await sql`insert into account select g, 100 from generate_series(1, 2000) g`;
    }
    checked += await checkBranches(sql, open, branches);
    await sql.end();
    if (round < rounds) {
      const ends = [0, 1, 2].map((worker) => work(open, branches, random, `r${round}w${worker}`));
      await new Promise((resolve) => setTimeout(resolve, 300 + random.below(1500)));
      cli.child.kill("SIGKILL");
      await Promise.all([cli.ended, ...ends]);
    } else {
      cli.child.kill("SIGTERM");
      await cli.ended;
    }
  }
  expect(checked).toBeGreaterThan(rounds);
});

/** Makes branches, writes to both sides and drops some, until the server has gone. */
async function work(
  open: (database?: string) => postgres.Sql,
  branches: Map<string, Known>,
  random: Random,
  prefix: string,
): Promise<void> {
  const source = open();
  const opened = [source];
  try {
    for (let n = 0; ; n++) {
      const name = `postgres~${prefix}n${n}`;
      const known: Known = { there: false, asked: "make" };
      branches.set(name, known);
      const branch = open(name);
      opened.push(branch);
      await branch`select 1`;
      Object.assign(known, { there: true, asked: undefined });
      for (const side of [branch, source]) {
        const [from, to] = [1 + random.below(2000), 1 + random.below(2000)].sort((one, other) => one - other);
        await side`update account set balance = balance + case id when ${from!} then -1 else 1 end
          where id in (${from!}, ${to!}) and ${from!} <> ${to!}`;
      }
      await branch.end();
      if (random.oneIn(2)) {
        known.asked = "drop";
        await source.unsafe(`drop database "${name}" with (force)`);
        Object.assign(known, { there: false, asked: undefined });
      }
    }
  } catch (error) {
    // The server has gone.
    if ((error as { code?: string }).code?.match(/^[0-9A-Z]{5}$/) && (error as { severity?: string }).severity)
      throw error;
  } finally {
    await Promise.all(opened.map((client) => client.end({ timeout: 0 })));
  }
}

async function checkBranches(
  sql: postgres.Sql,
  open: (database: string) => postgres.Sql,
  branches: Map<string, Known>,
): Promise<number> {
  const rows = await sql<
    Found[]
  >`select datname as name, datconnlimit as limit from pg_database where datname like '%~%'`;
  // As PostgreSQL leaves a DROP DATABASE that was killed: nobody can connect to it, but who wants that branch gets a new one.
  const halfDropped = new Set(rows.filter(({ limit }) => limit === -2).map(({ name }) => name));
  const there = new Set(rows.map(({ name }) => name));
  for (const [name, known] of branches) {
    if (known.asked === undefined) expect([name, there.has(name)]).toEqual([name, known.there]);
    if (halfDropped.has(name)) expect([name, known.asked]).toEqual([name, "drop"]);
    Object.assign(known, { there: there.has(name), asked: undefined });
  }
  for (const name of ["postgres", ...there]) {
    const own = open(name);
    const [found] = await own`select count(*)::int, sum(balance)::int, count(distinct id)::int as ids from account`;
    expect([name, found]).toEqual([name, { count: 2000, sum: 200_000, ids: 2000 }]);
    await own`select bt_index_check('account_pkey', true)`;
    expect(await own`select * from verify_heapam('account')`).toEqual([]);
    await own.end();
  }
  return there.size;
}
