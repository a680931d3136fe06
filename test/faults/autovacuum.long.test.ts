/**
 * Autovacuum in a directory: what is copied and brought back, kill -9 in the middle of it, and what it leaves.
 *
 * @module-tag long
 */
import { beforeAll, expect, test } from "vitest";
import { startDevDb } from "../../src/index.ts";
import { autovacuumAtWork, looksOften, slowTable } from "../sessions/support/autovacuum-at-work.ts";
import { startCli } from "../support/cli-process.ts";
import { initializedDirectory, initializeTemplate } from "../support/data-directory.ts";
import { connect } from "../support/query.ts";
import { Random, runSeed } from "../support/random.ts";
import { waitUntil } from "../support/wait-until.ts";

beforeAll(initializeTemplate);

test("a branch, a snapshot, restore, reset and the end of the server do not wait for it", async () => {
  const log: string[] = [];
  const db = await startDevDb({
    port: 0,
    db: initializedDirectory(),
    migrations: "none",
    set: looksOften,
    resets: "on",
    seed: async (url) => {
      const client = await connect(url);
      await client.query(slowTable);
    },
    log: (_, line) => /autovacuum/.test(line) && log.push(line),
  });
  try {
    for (const work of [
      async () => (await db.branch()).drop(),
      () => db.snapshot("one"),
      () => db.restore("one"),
      () => db.reset(),
    ]) {
      await autovacuumAtWork(await connect(db.url));
      await work();
    }
    await autovacuumAtWork(await connect(db.url));
  } finally {
    await db.close();
  }
  expect(log).toEqual([]);
});

const rounds = 3;

test(`${rounds} kills in the middle of it (SEED=${runSeed})`, { timeout: 240_000 }, async () => {
  const random = new Random(runSeed);
  const directory = initializedDirectory();
  for (let round = 0; round <= rounds; round++) {
    const cli = startCli(["--port", "0", "-o", "json", "--db", directory, "-e", "amcheck", "--set", looksOften[0]!]);
    const client = await connect(JSON.parse((await cli.line(/^.*\n/))[0]!).url);
    if (round === 0) {
      await client.query("create extension amcheck; create table t (id int primary key, v text)");
      await client.query("insert into t select g, repeat('v', 100) from generate_series(1, 20000) g");
    }
    await client.query("select bt_index_check('t_pkey', true)");
    expect((await client.query("select * from verify_heapam('t')")).rows).toEqual([]);
    expect((await client.query("select count(*)::int from t")).rows).toEqual([{ count: 20_000 }]);
    if (round < rounds) {
      await client.query("update t set v = v || ''; select pg_stat_force_next_flush()");
      const begun = "select from pg_stat_activity where application_name = 'autovacuum'";
      await waitUntil("autovacuum has begun", async () => (await client.query(begun)).rows.length > 0);
      await new Promise((resolve) => setTimeout(resolve, random.below(60)));
      cli.child.kill("SIGKILL");
    } else {
      cli.child.kill("SIGTERM");
    }
    await cli.ended;
  }
});
