/** `complete` is true only of what was explored: situations in which it was said of less. */
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Actor, type ExploreOptions, explore } from "../../src/explore/index.ts";
import { failureOf } from "../../src/explore/verdict.ts";
import { type DevDb, startDevDb } from "../../src/index.ts";

let db: DevDb;
let pool: pg.Pool;
beforeAll(async () => {
  db = await startDevDb({ port: 0, migrations: "none" });
  pool = new pg.Pool({ connectionString: db.url });
});
afterAll(async () => {
  await pool.end();
  await db.close();
});

const both = ["exhaustive", "dpor"] as const;

/** One connection for each actor, which is kept from schedule to schedule. */
async function withClients(
  names: readonly string[],
  first: string,
  body: (clients: Readonly<Record<string, pg.Client>>) => Promise<void>,
): Promise<void> {
  const clients = Object.fromEntries(names.map((name) => [name, new pg.Client({ connectionString: db.url })]));
  try {
    for (const client of Object.values(clients)) {
      await client.connect();
      await client.query(first);
    }
    await body(clients);
  } finally {
    await Promise.all(Object.values(clients).map((client) => client.end()));
  }
}

test.each(["repeatable read", "serializable"])(
  "dpor sees the snapshot of a session that has SET something: %s",
  async (level) => {
    await pool.query(`drop table if exists seats, others;
    create table seats (n int); insert into seats values (1); create table others ()`);
    await withClients(["ann", "bob"], "set search_path to public", async ({ ann, bob }) => {
      const actors = {
        ann: async () => {
          await ann!.query(`begin isolation level ${level}`);
          await ann!.query("select from others");
          const { rows } = await ann!.query("select n from seats");
          await ann!.query("commit");
          return rows[0].n;
        },
        bob: () => bob!.query("update seats set n = 2"),
      };
      const found = async (strategy: (typeof both)[number]) => {
        const seen = new Set<unknown>();
        const invariant: ExploreOptions<"ann" | "bob">["invariant"] = (_, results) =>
          void seen.add(results.ann.status === "fulfilled" && results.ann.value);
        const { complete } = await explore({ db, actors, strategy, invariant });
        return { complete, seen: [...seen].sort() };
      };
      expect(await found("exhaustive")).toEqual({ complete: true, seen: [1, 2] });
      expect(await found("dpor")).toEqual({ complete: true, seen: [1, 2] });
    });
  },
);

test("dpor sees that an index-only scan reads the row that a DELETE removes", async () => {
  await pool.query(`create table oncall (shift int, doctor int, primary key (shift, doctor));
    insert into oncall select i / 2, i % 2 from generate_series(2, 2001) i`);
  await pool.query("vacuum analyze oncall");
  await withClients(["0", "1"], "set enable_seqscan = off", async (clients) => {
    const actors = Object.fromEntries(
      Object.entries(clients).map(([name, client]): [string, Actor] => [
        name,
        async () => {
          await client.query("begin");
          const { rows } = await client.query("select count(*)::int as n from oncall where shift = 1");
          if (rows[0].n > 1) await client.query(`delete from oncall where shift = 1 and doctor = ${name}`);
          await client.query("commit");
        },
      ]),
    );
    const invariant: ExploreOptions["invariant"] = async (sql) =>
      (await sql`select count(*)::int as n from oncall where shift = 1`)[0]!.n === 1;
    for (const strategy of both) {
      const { failing } = await explore({ db, actors, invariant, strategy });
      expect(failing.length, strategy).toBeGreaterThan(0);
    }
  });
});

test("an exploration leaves the data as it found them", async () => {
  await pool.query("create table sold (id serial primary key, who text)");
  const buy = (who: string) => async () => {
    const { rows } = await pool.query("select count(*)::int as n from sold");
    if (rows[0].n === 0) await pool.query("insert into sold (who) values ($1)", [who]);
  };
  const actors = { ann: buy("ann"), bob: buy("bob") };
  const invariant: ExploreOptions["invariant"] = async (sql) =>
    (await sql`select count(*)::int as n from sold`)[0]!.n === 1;
  const run = async () => (await explore({ db, actors, invariant })).failing.length;
  const first = await run();
  expect(first).toBeGreaterThan(0);
  expect((await pool.query("select * from sold")).rows).toEqual([]);
  expect(await run()).toBe(first);
});

test("an actor that fails in every order is in doubt, and that is said first", async () => {
  await pool.query("create table t (v int)");
  const actors = { ann: () => pool.query("selec 1"), bob: () => pool.query("insert into t values (1)") };
  const report = await explore({ db, actors, invariant: () => true });
  expect(report).toMatchObject({ complete: false, failed: { ann: expect.stringContaining("42601") } });
  expect(failureOf(report, {})).toMatch(/^the actor "ann" failed in every schedule: 42601 /);
});
