/**
 * kill -9 while a database in a directory is written to, kept, brought back and its snapshots are given up: it and each of them is as it was before the last
 * call, or as it is behind it, and nothing is left of copies at the next start. ROUNDS=300 for more, SEED=… for the same choices.
 *
 * @module-tag long
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import postgres from "postgres";
import { expect, test } from "vitest";
import { startCli } from "../support/cli-process.ts";
import { Random, runSeed } from "../support/random.ts";

const rounds = Number(process.env.ROUNDS ?? 3);
const names = ["a", "b"] as const;
const rows = 500;

/** What may be: a version, or nothing for a snapshot that is not there. More than one only when nobody has answered. */
type May = ReadonlySet<number | undefined>;

/** What has been answered, and what was asked last. */
interface Model {
  now: May;
  /** What the database was when the server became ready. */
  start: May;
  kept: Record<(typeof names)[number], May>;
  last: number;
}

const one = (value: number | undefined): May => new Set([value]);
const either = (before: May, after: May): May => new Set([...before, ...after]);

test(`${rounds} kills (SEED=${runSeed})`, { timeout: 30_000 + rounds * 60_000 }, async () => {
  const random = new Random(runSeed);
  const root = mkdtempSync(join(tmpdir(), "reset-kill-nine-"));
  const directory = join(root, "data");
  const model: Model = {
    now: one(undefined),
    start: one(undefined),
    kept: { a: one(undefined), b: one(undefined) },
    last: 0,
  };
  let calls = 0;
  for (let round = 0; round <= rounds; round++) {
    const options = ["--port", "0", "-o", "json", "--db", directory, "--resets", "on", "-e", "amcheck"];
    const cli = startCli(options, process.env.CLI ? { cli: process.env.CLI } : {});
    const { url } = JSON.parse((await cli.line(/^.*\n/))[0]!) as { url: string };
    const sql = postgres(url, { max: 1, onnotice: () => {}, fetch_types: false });
    if (round === 0) await create(sql);
    else await check(sql, directory, model, random);
    if (round === rounds) {
      await sql.end();
      cli.child.kill("SIGTERM");
      await cli.ended;
      break;
    }
    const end = work(sql, model, random, () => calls++);
    await delay(random.below(2500));
    cli.child.kill("SIGKILL");
    await Promise.all([cli.ended, end]);
    await sql.end({ timeout: 0 });
  }
  process.stderr.write(`reset-kill-nine: ${rounds} kills, ${calls} calls answered, seed ${runSeed}\n`);
  // What is wrong stays, to be looked at.
  rmSync(root, { recursive: true, force: true, maxRetries: 3 });
});

async function create(sql: postgres.Sql): Promise<void> {
  await sql`create extension amcheck`;
  await sql`create table account (id int primary key, balance int not null)`;
  await sql`insert into account select g, 100 from generate_series(1, ${rows}) g`;
  await sql`create table version (v int)`;
  await sql`insert into version values (0)`;
  await sql`comment on database postgres is '0'`;
}

/** One call after the other, until the server has gone. */
async function work(sql: postgres.Sql, model: Model, random: Random, answered: () => void): Promise<void> {
  model.now = model.now.has(undefined) ? one(0) : model.now;
  try {
    for (;;) {
      await change(sql, model, random);
      answered();
    }
  } catch (error) {
    // PostgreSQL has said something: that is no kill.
    if ((error as { severity?: string }).severity) throw error;
  }
}

async function change(sql: postgres.Sql, model: Model, random: Random): Promise<void> {
  const name = names[random.below(names.length)]!;
  const kept = model.kept[name];
  const kind = random.below(6);
  const isThere = !kept.has(undefined);
  if (kind <= 1 || (kind > 3 && !isThere)) {
    const before = model.now;
    const version = ++model.last;
    model.now = either(before, one(version));
    await write(sql, version, random);
    model.now = one(version);
  } else if (kind === 2) {
    model.kept[name] = either(kept, model.now);
    await sql`select pglite_devdb.snapshot(${name})`;
    model.kept[name] = model.now;
  } else if (kind === 3) {
    const before = model.now;
    model.now = either(before, model.start);
    if (model.start.has(undefined)) model.now = before;
    else await sql`select pglite_devdb.reset()`;
    if (!model.start.has(undefined)) model.now = model.start;
  } else if (kind === 4) {
    model.now = either(model.now, kept);
    await sql`select pglite_devdb.restore(${name})`;
    model.now = kept;
  } else {
    model.kept[name] = either(kept, one(undefined));
    await sql`select pglite_devdb.drop_snapshot(${name})`;
    model.kept[name] = one(undefined);
  }
}

/** In one transaction, with what CREATE DATABASE does not copy. */
async function write(sql: postgres.Sql, version: number, random: Random): Promise<void> {
  const [from, to] = [1 + random.below(rows), 1 + random.below(rows)];
  await sql.unsafe(`begin;
    update version set v = ${version};
    update account set balance = balance + case when id = ${from} then -1 else 0 end + case when id = ${to} then 1 else 0 end;
    alter database postgres set app.version = '${version}';
    comment on database postgres is '${version}';
    commit`);
}

/** What there is, is what may be; and there is nothing else. */
async function check(sql: postgres.Sql, directory: string, model: Model, random: Random): Promise<void> {
  const databases = await sql<{ oid: number; name: string; limit: number }[]>`
    select oid::int, datname as name, datconnlimit as limit from pg_database order by oid`;
  const there = databases.map(({ name }) => name);
  const snapshots = names.filter((name) => there.includes(`postgres~snapshot:${name}`));
  expect(there.toSorted()).toEqual(
    ["postgres", "postgres~snapshot!start", "template0", "template1"]
      .concat(snapshots.map((name) => `postgres~snapshot:${name}`))
      .toSorted(),
  );
  expect(databases.filter(({ limit }) => limit !== -1)).toEqual([]);
  expect(
    readdirSync(join(directory, "base"))
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .toSorted((x, y) => x - y),
  ).toEqual(databases.map(({ oid }) => oid));
  const now = await look(sql);
  expect([...model.now]).toContain(now);
  model.now = one(now);
  model.start = one(now);
  for (const name of names) {
    if (!snapshots.includes(name)) {
      expect([...model.kept[name]]).toContain(undefined);
      model.kept[name] = one(undefined);
      continue;
    }
    // That takes a while: not each time.
    if (model.kept[name].size === 1 && random.below(3) > 0) continue;
    await sql`select pglite_devdb.restore(${name})`;
    const version = await look(sql);
    expect([name, ...model.kept[name]]).toContain(version);
    model.kept[name] = one(version);
    model.now = one(version);
  }
}

/** The version of all that there is, which is whole. */
async function look(sql: postgres.Sql): Promise<number> {
  const [found] = await sql<{ v: number }[]>`select v, count, sum, setting, comment from version,
    (select count(*)::int, sum(balance)::int from account) as accounts,
    (select coalesce((select split_part(setconfig[1], '=', 2)::int from pg_db_role_setting join pg_database on oid = setdatabase
      where datname = 'postgres'), 0) as setting) as settings,
    (select shobj_description(oid, 'pg_database')::int as comment from pg_database where datname = 'postgres') as comments`;
  const { v } = found!;
  expect(found).toEqual({ v, count: rows, sum: 100 * rows, setting: v, comment: v });
  await sql`select bt_index_check('account_pkey', true)`;
  expect(await sql`select * from verify_heapam('account')`).toEqual([]);
  return v;
}
