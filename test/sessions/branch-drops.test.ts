/** The end of a branch: what it waits for, and who is told. */
import pg from "pg";
import postgres from "postgres";
import { expect, onTestFinished, test } from "vitest";
import { type DevDb, type DevDbBranch, startDevDb } from "../../src/index.ts";
import { query } from "../support/query.ts";

const start = (): Promise<DevDb> => startDevDb({ port: 0, migrations: "none", log: () => {} });

function client(url: string): postgres.Sql {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  onTestFinished(() => sql.end({ timeout: 1 }));
  return sql;
}

test("in memory nobody waits for a checkpoint of DROP DATABASE, and the next one has nothing to do with what is gone", async () => {
  await using db = await start();
  const sql = client(db.url);
  await sql`create table t as select 1 as n`;
  const checkpoints = () => sql`select num_requested::int as n from pg_stat_checkpointer`.then(([row]) => row!.n);
  for (const drop of [(branch: DevDbBranch) => branch.drop(), dropByHand(sql)]) {
    const branch = await db.branch();
    const own = new pg.Client(branch.url);
    await own.connect();
    await own.query("create table u as select g from generate_series(1, 20000) g; drop table t; truncate u");
    await own.end();
    const before = await checkpoints();
    await drop(branch);
    expect(await checkpoints()).toBe(before);
    await sql`checkpoint`;
    expect(await checkpoints()).toBe(before + 1);
  }
  expect(await sql`select n from t`).toEqual([{ n: 1 }]);
});

function dropByHand(sql: postgres.Sql) {
  return ({ database }: DevDbBranch) => sql.unsafe(`drop database "${database}" with (force)`);
}

test("clients that have just said good-bye are not ended by a drop", async () => {
  await using db = await start();
  // What is read when, and what is asked, are a matter of chance where somebody computes.
  const computing = client(db.url)`select count(*) from generate_series(1, 100000000)`.catch(() => {});
  for (let round = 0; round < 20; round++) {
    const branch = await db.branch();
    const clients = await Promise.all(
      [1, 2, 3].map(async () => {
        const own = new pg.Client(branch.url);
        await own.connect();
        return own;
      }),
    );
    const errors: string[] = [];
    // As a pool does that is ended: it says so, and does not wait.
    for (const own of clients) {
      own.on("error", ({ message }) => errors.push(message));
      void own.end();
    }
    await branch.drop();
    expect(errors).toEqual([]);
  }
  await query(
    db.url,
    "select pg_terminate_backend(pid) from pg_stat_activity where query ~ 'generate_series' and pid <> pg_backend_pid()",
  );
  await computing;
});
