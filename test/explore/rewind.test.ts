/**
 * Without a `reset` each schedule begins with the server as it was before the first: rows at their places, sequences, and what the
 * clients have in their sessions.
 */
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Actor, type ExploreOptions, explore } from "../../src/explore/index.ts";
import { type DevDb, startDevDb } from "../../src/index.ts";
import { Application } from "./actors.ts";

let db: DevDb;
let app: Application;

beforeAll(async () => {
  db = await startDevDb({ port: 0, migrations: "none" });
  app = new Application(db.url);
  await app.pool.query(`create table orders (id int generated always as identity, who text);
    create table stock (id int primary key, n int); insert into stock values (1, 5)`);
});

afterAll(async () => {
  await app.pool.end();
  await db.close();
});

const run = (actors: Record<string, Actor>, more: Partial<ExploreOptions> = {}) =>
  explore({ db, actors, invariant: () => true, ...more });

const order = (who: string) => () =>
  app.transaction("read committed", async (query) => {
    await query("update stock set n = n - 1 where id = 1");
    return query("insert into orders (who) values ($1) returning id", who);
  });

test("rows, their places and sequences are those before the first schedule", async () => {
  const found = new Set<string>();
  const report = await run(
    { ann: order("ann"), bob: order("bob") },
    {
      invariant: async (sql, { ann, bob }) => {
        const [stock] = await sql`select n, ctid::text from stock`;
        const ids = [ann, bob].map((result) => (result?.status === "fulfilled" ? result.value : undefined));
        found.add(JSON.stringify([stock, ids.toSorted()]));
      },
    },
  );
  expect([report.schedules, report.complete, report.failing]).toEqual([24, true, []]);
  expect([...found]).toEqual([JSON.stringify([{ n: 3, ctid: "(0,3)" }, [1, 2]])]);
});

test("what clients have in their sessions is there, and what a schedule has left in them is not", async () => {
  const listener = new pg.Client({ connectionString: db.url });
  await listener.connect();
  const told: (string | undefined)[] = [];
  listener.on("notification", ({ payload }) => told.push(payload));
  await listener.query("listen orders");
  const client = new pg.Client({ connectionString: db.url });
  await client.connect();
  await client.query("set application_name = 'kept'");
  const seen = new Set<string>();
  const ann = async () => {
    // A statement with a name is prepared once, and used in every schedule.
    const { rows } = await client.query({
      name: "look",
      text: "select current_setting('application_name') as name, current_setting('work_mem') as memory",
    });
    seen.add(JSON.stringify(rows[0]));
    await client.query("set work_mem = '3MB'");
    await client.query("create temporary table mine (id int)");
  };
  const bob = () => app.query("select count(*) from stock");
  const before = (await client.query("show work_mem")).rows[0].work_mem;
  const report = await run({ ann, bob });
  await app.query("notify orders, 'after'");
  await listener.query("select 1");
  await Promise.all([listener.end(), client.end()]);
  expect([report.schedules, report.complete, report.failing]).toEqual([4, true, []]);
  expect([...seen]).toEqual([JSON.stringify({ name: "kept", memory: before })]);
  expect(told).toEqual(["after"]);
});

test("where nothing can be brought back a reset is asked for", async () => {
  const actors = { ann: () => app.query("select 1") };
  await expect(run(actors, { db: { url: db.url } })).rejects.toMatchObject({
    name: "UsageError",
    message: expect.stringContaining("explore needs a reset for a server that is known by its URL"),
  });
});
