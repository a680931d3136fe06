/**
 * What one schedule of each class must not leave out: locks that a statement's failure gives back, portals that are read in pieces.
 */
import pg from "pg";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Effect } from "../../src/explore/effects.ts";
import { type Actor, type ExploreOptions, explore } from "../../src/explore/index.ts";
import { type DevDb, startDevDb } from "../../src/index.ts";

let db: DevDb;
const clients: pg.Client[] = [];

beforeAll(async () => {
  db = await startDevDb({ port: 0, migrations: "none" });
  for (let count = 0; count < 2; count++) clients.push(new pg.Client({ connectionString: db.url }));
  for (const client of clients) await client.connect();
  await clients[0]!.query("create table t (id int primary key, v int not null); create table u (id int not null)");
});
afterAll(async () => {
  for (const client of clients) await client.end();
  await db.close();
});

const rows = "truncate t; insert into t values (1, 1), (2, 2), (3, 3)";
const reset: ExploreOptions["reset"] = (sql) => sql(rows);

/** Sends each statement, whatever becomes of those before. */
const sends =
  (nth: number, ...statements: string[]): Actor =>
  async () => {
    const said: string[] = [];
    for (const statement of statements)
      said.push(
        await clients[nth]!.query(statement).then(
          ({ rows }) => JSON.stringify(rows),
          ({ code }: { code: string }) => code,
        ),
      );
    return said;
  };

/** What becomes of two actors. */
async function outcomesOf(
  strategy: "exhaustive" | "dpor",
  ann: Actor,
  bob: Actor,
  reset?: ExploreOptions["reset"],
): Promise<string[]> {
  const outcomes = new Set<string>();
  await clients[0]!.query(rows);
  const report = await explore({
    db,
    actors: { ann, bob },
    ...(reset ? { reset } : {}),
    invariant: async (sql, results) => {
      outcomes.add(JSON.stringify([results, await sql("select * from t order by id")]));
    },
    strategy,
    // Nobody is silent here, but for a machine that is busy with other tests.
    silenceMs: 1000,
  });
  expect(report).toMatchObject({ complete: true, failing: [] });
  return [...outcomes].sort();
}

type Given = [string, string[], string];
const given: Given[] = [
  ["a row", ["update t set v = 5 where id = 1", "select 1 / 0"], "select v from t where id = 1 for update nowait"],
  [
    "an advisory lock",
    ["select pg_advisory_xact_lock(7)", "select 1 / 0"],
    "select pg_try_advisory_xact_lock(7) as got",
  ],
  [
    "a row that is skipped",
    ["select v from t where id = 1 for update", "insert into u values (null)"],
    "select id from t order by id limit 1 for update skip locked",
  ],
  ["a table", ["lock table t in exclusive mode", "select 1 / 0"], "lock table t in exclusive mode nowait"],
  [
    "a row, under a savepoint",
    ["savepoint x", "update t set v = 5 where id = 1", "select 1 / 0", "rollback to x"],
    "select v from t where id = 1 for update nowait",
  ],
];
const givenBack = "a statement that fails gives back %s at once";
async function isGivenBack(...[, statements, asks]: Given): Promise<void> {
  const ann = sends(0, "begin", ...statements, "rollback");
  const bob = sends(1, "begin", asks, "rollback");
  const all = await outcomesOf("exhaustive", ann, bob, reset);
  expect(all.length).toBeGreaterThan(1);
  expect(await outcomesOf("dpor", ann, bob, reset)).toEqual(all);
}

test.each(given.slice(0, 2))(givenBack, isGivenBack);
test.each(given.slice(2))(givenBack, { tags: "long" }, isGivenBack);

test("a driver's cursor reads its later pieces with the snapshot of the first", async () => {
  const sql = postgres(db.url, {
    max: 1,
    connection: { enable_seqscan: "off", enable_bitmapscan: "off" },
  });
  const ann: Actor = async () => {
    const seen: unknown[] = [];
    await sql.begin(async (transaction) => {
      for await (const [row] of transaction`select id, v from t order by id`.cursor(1)) seen.push(row!.v);
    });
    return seen;
  };
  const bob = sends(1, "update t set v = 30 where id = 3");
  const all = await outcomesOf("exhaustive", ann, bob);
  const some = await outcomesOf("dpor", ann, bob);
  await sql.end();
  expect(all).toHaveLength(2);
  expect(some).toEqual(all);
});

test.each([
  ["insert into t values (1, 1) on conflict do nothing", false],
  ["insert into t values (1, 1) on conflict (id) do update set v = 2", false],
  ["do $$ begin commit; end $$", true],
  ["select 1; /* a block */ DO 'begin commit; end'", true],
  ["execute prepared_before", true],
])("what cannot be seen of a statement: %s", (sql, isUnknown) => {
  expect(new Effect("ann", sql).isUnknown).toBe(isUnknown);
});
