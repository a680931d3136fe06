/**
 * `explore()`: bugs that applications have when two of their transactions meet, each found, with the fix beside it that passes in
 * every order. The drivers are real, and know of nothing.
 */
import { sql as statement } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Actor, type ExploreOptions, type ExploreReport, explore, type Sql } from "../../src/explore/index.ts";
import { type DevDb, startDevDb } from "../../src/index.ts";
import { Application } from "./actors.ts";

let db: DevDb;
let app: Application;

beforeAll(async () => {
  db = await startDevDb({ port: 0, migrations: "none" });
  app = new Application(db.url);
  await app.pool.query(`
    create table seats (id int primary key, free int);
    create table sold (who text);
    create table accounts (id int primary key, amount int);
    create table doctors (id int primary key, on_call bool);
    create table mails (address text);
    create table unique_mails (address text unique);
    create table jobs (id int primary key, state text)`);
});

afterAll(async () => {
  await app.pool.end();
  await db.close();
});

const reset = (sql: Sql) =>
  sql(`truncate seats, sold, accounts, doctors, mails, unique_mails, jobs;
    insert into seats values (1, 1);
    insert into accounts values (1, 0), (2, 0);
    insert into doctors values (1, true), (2, true)`);

function run(
  actors: Record<string, Actor>,
  invariant: ExploreOptions["invariant"],
  more: Partial<ExploreOptions> = {},
): Promise<ExploreReport> {
  // Nobody is silent here, but for a machine that is busy with other tests.
  return explore({ db, actors, reset, invariant, silenceMs: 1000, ...more });
}

/** Everything was tried, and nothing of it is in doubt. */
function expectComplete(report: ExploreReport): void {
  const { complete, silences, strays, diverged, stopped } = report;
  expect({ complete, silences, strays, diverged, stopped }).toEqual({
    complete: true,
    silences: 0,
    strays: 0,
    diverged: 0,
    stopped: undefined,
  });
}

/** The numbers of a report. */
function counts({ schedules, failing }: ExploreReport): { schedules: number; failing: number } {
  return { schedules, failing: failing.length };
}

const two = (actor: (name: string) => Actor): Record<string, Actor> => ({ ann: actor("ann"), bob: actor("bob") });
const oneSold = async (sql: Sql): Promise<boolean> => (await sql`select count(*) as n from sold`)[0]!.n <= 1;

describe("the last seat", () => {
  const buy = (who: string, level: string, lock = "") =>
    app.transaction(level, async (query) => {
      const free = await query(`select free from seats where id = 1${lock}`);
      if (Number(free) === 0) return;
      await query("insert into sold values ($1)", who);
      await query("update seats set free = free - 1 where id = 1");
    });

  test("of 252 orders 182 can be, and 170 sell it twice", async () => {
    const report = await run(
      two((who) => () => buy(who, "read committed")),
      oneSold,
    );
    expectComplete(report);
    expect(counts(report)).toEqual({ schedules: 182, failing: 170 });
    expect(report.codes).toEqual({});
    expect(report.failing[0]!.table).toMatchInlineSnapshot(`
      "✗ the invariant is false
          ann                                           bob
       1  begin isolation level read committed
       2  select free from seats where id = 1
       3  insert into sold values ($1)
       4  update seats set free = free - 1 where id =…
       5                                                begin isolation level read committed
       6                                                select free from seats where id = 1
       7  commit
       8                                                insert into sold values ($1)
       9                                                update seats set free = free - 1 where id =…
      10                                                commit"
    `);
  });

  test("one of each class of schedules finds the same", async () => {
    const buyers = (level: string, lock?: string) => two((who) => () => buy(who, level, lock));
    const found: unknown[] = [];
    for (const [level, lock] of [["read committed"], ["read committed", " for update"], ["serializable"]] as const) {
      await app.pool.query("truncate seats, sold; insert into seats values (1, 1)");
      // The server's own rewind, by which rows are told apart.
      const report = await run(buyers(level, lock), oneSold, { strategy: "dpor", reset: undefined });
      expectComplete(report);
      found.push([
        report.schedules < 20,
        report.orders,
        report.failing.length > 0,
        Object.keys(report.outcomes).length,
      ]);
    }
    expect(found).toEqual([
      [true, 252, true, 1],
      [true, 56, false, 1],
      [true, 252, false, 3],
    ]);
  });

  test("serializable, the other one fails instead", { tags: "long" }, async () => {
    const report = await run(
      two((who) => () => buy(who, "serializable")),
      oneSold,
    );
    expectComplete(report);
    expect(counts(report)).toEqual({ schedules: 182, failing: 0 });
    expect(report.codes).toEqual({ "40001": 170 });
  });

  test("with FOR UPDATE 36 orders are left, and none sells it twice", async () => {
    const report = await run(
      two((who) => () => buy(who, "read committed", " for update")),
      oneSold,
    );
    expectComplete(report);
    expect(counts(report)).toEqual({ schedules: 36, failing: 0 });
  });
});

test("two databases are explored at once, each by what is touched there", async () => {
  const branch = await db.branch();
  const other = new Application(branch.url);
  await app.pool.query("truncate accounts; insert into accounts values (1, 0)");
  await other.pool.query("truncate accounts; insert into accounts values (1, 0)");
  const adding = ({ query }: Application): Actor => {
    return async () => {
      const amount = Number(await query("select amount from accounts where id = 1"));
      await query("update accounts set amount = $1 where id = 1", amount + 1);
    };
  };
  const both = [
    { url: db.url, actor: adding(app) },
    { url: branch.url, actor: adding(other) },
  ].map(({ url, actor }) =>
    explore({
      db: { url },
      actors: two(() => actor),
      reset: (sql) => sql("truncate accounts; insert into accounts values (1, 0)"),
      invariant: async (sql) => (await sql`select amount from accounts`)[0]!.amount === 2,
      strategy: "dpor",
    }),
  );
  const reports = await Promise.all(both);
  await other.pool.end();
  await branch.drop();
  for (const report of reports) expectComplete(report);
  expect(reports.map(counts)).toEqual([counts(reports[0]!), counts(reports[0]!)]);
  expect(reports[0]!.failing.length).toBeGreaterThan(0);
});

describe("each is found, and the fix passes in every order", () => {
  const add = (lock: string) => () =>
    app.transaction("read committed", async (query) => {
      const amount = Number(await query(`select amount from accounts where id = 1${lock}`));
      await query("update accounts set amount = $1 where id = 1", amount + 1);
    });
  const isTwo = async (sql: Sql) => (await sql`select amount from accounts where id = 1`)[0]!.amount === 2;
  const leave = (level: string) => (who: string) => () =>
    app.transaction(level, async (query) => {
      if (Number(await query("select count(*) from doctors where on_call")) < 2) return;
      await query("update doctors set on_call = false where id = $1", who === "ann" ? 1 : 2);
    });
  const someOnCall = async (sql: Sql) => (await sql`select count(*) as n from doctors where on_call`)[0]!.n >= 1;
  const oneMail = async (sql: Sql) =>
    (await sql`select (select count(*) from mails) + (select count(*) from unique_mails) as n`)[0]!.n === 1;
  const pay = (first: number) => () =>
    app.transaction("read committed", async (query) => {
      await query("update accounts set amount = amount + 1 where id = $1", first);
      await query("update accounts set amount = amount + 1 where id = $1", 3 - first);
    });
  const without =
    (code: string): ExploreOptions["invariant"] =>
    (_, results) =>
      Promise.resolve(!Object.values(results).some((result) => "reason" in result && result.reason.code === code));
  const upsert = async () => {
    await app.query(
      "insert into unique_mails values ('x') on conflict (address) do update set address = excluded.address",
    );
  };

  const cases = [
    {
      name: "lost update",
      bug: two(() => add("")),
      fix: two(() => add(" for update")),
      invariant: isTwo,
      expected: [{ schedules: 50, failing: 40 }, 24],
    },
    {
      name: "write skew",
      bug: two(leave("repeatable read")),
      fix: two(leave("serializable")),
      invariant: someOnCall,
      expected: [{ schedules: 70, failing: 60 }, 70],
    },
    {
      name: "check, then insert",
      bug: two(() => async () => {
        if ((await app.query("select 1 from mails where address = 'x'")) === undefined)
          await app.query("insert into mails values ('x')");
      }),
      fix: two(() => () => app.query("insert into unique_mails values ('x') on conflict do nothing")),
      invariant: oneMail,
      expected: [{ schedules: 6, failing: 4 }, 2],
    },
    {
      name: "a deadlock by the order of updates",
      bug: { ann: pay(1), bob: pay(2) },
      fix: two(() => pay(1)),
      invariant: without("40P01"),
      expected: [{ schedules: 42, failing: 24 }, 24],
    },
    {
      name: "an upsert by hand",
      bug: two(() => async () => {
        const { rowCount } = await app.pool.query("update unique_mails set address = address where address = 'x'");
        if (rowCount) return;
        if ((await app.query("select 1 from unique_mails where address = 'x'")) === undefined)
          await app.query("insert into unique_mails values ('x')");
      }),
      fix: two(() => upsert),
      invariant: without("23505"),
      expected: [{ schedules: 20, failing: 12 }, 2],
    },
  ] as const;

  test.each(cases)("$name", async ({ bug, fix, invariant }) => {
    const broken = await run(bug, invariant, { strategy: "dpor" });
    expectComplete(broken);
    expect(broken.failing).not.toEqual([]);
    const mended = await run(fix, invariant, { strategy: "dpor" });
    expectComplete(mended);
    expect(mended.failing).toEqual([]);
  });

  test.each(cases)(
    "$name, in every order",
    { tags: "long" },
    async ({ bug, fix, invariant, expected: [found, all] }) => {
      const broken = await run(bug, invariant);
      expectComplete(broken);
      expect(counts(broken)).toEqual(found);
      const mended = await run(fix, invariant);
      expectComplete(mended);
      expect(counts(mended)).toEqual({ schedules: all, failing: 0 });
    },
  );

  const queue = () => {
    const take = (skip: string) => `select id from jobs where state = 'new' limit 1 for update${skip}`;
    const failing = (skip: string) => async () => {
      const failure = new Error("its work has failed");
      const work = app.transaction("read committed", async (query) => {
        if (await query(take(skip))) throw failure;
      });
      await work.catch((error) => expect(error).toBe(failure));
    };
    const working = (skip: string) => async () => {
      for (let done = false, tries = 0; !done && tries < 2; tries++) {
        done = await app.transaction("read committed", async (query) => {
          const job = await query(take(skip));
          if (job) await query("update jobs set state = 'done' where id = 1");
          return !job;
        });
      }
    };
    const reset = (sql: Sql) => sql("truncate jobs; insert into jobs values (1, 'new')");
    return {
      bug: { ann: failing(" skip locked"), bob: working(" skip locked") },
      fix: { ann: failing(""), bob: working("") },
      reset,
    };
  };
  const isDone = async (sql: Sql) => (await sql`select state from jobs`)[0]!.state === "done";

  test("SKIP LOCKED passes over a job that somebody gives back", async () => {
    const { bug, fix, reset } = queue();
    const broken = await run(bug, isDone, { reset, strategy: "dpor" });
    expectComplete(broken);
    expect(broken.failing).not.toEqual([]);
    const mended = await run(fix, isDone, { reset, strategy: "dpor" });
    expectComplete(mended);
    expect(mended.failing).toEqual([]);
  });

  test("SKIP LOCKED, in every order", { tags: "long" }, async () => {
    const { bug, fix, reset } = queue();
    const broken = await run(bug, isDone, { reset });
    expectComplete(broken);
    expect(counts(broken)).toEqual({ schedules: 108, failing: 6 });
    const mended = await run(fix, isDone, { reset, schedules: 200 });
    expectComplete(mended);
    expect(counts(mended)).toEqual({ schedules: 95, failing: 0 });
  });

  test("LISTEN after SELECT misses what happens between them", async () => {
    const client = await app.pool.connect();
    const told: unknown[] = [];
    client.on("notification", (message) => told.push(message));
    const listen = () => client.query("listen jobs");
    const look = async () => ((await client.query("select 1 from jobs")).rowCount ?? 0) > 0;
    const ann = async () => {
      await app.query("insert into jobs values (1, 'new')");
      await app.query("notify jobs");
    };
    const late = async () => {
      const sees = await look();
      if (!sees) await listen();
      return sees;
    };
    const early = async () => {
      await listen();
      return look();
    };
    const knows: ExploreOptions["invariant"] = (_, { bob }) =>
      Promise.resolve(told.length > 0 || (bob!.status === "fulfilled" && bob!.value === true));
    const options = {
      reset: async (sql: Sql) => {
        await sql("truncate jobs");
        told.length = 0;
      },
    };
    const broken = await run({ ann, bob: late }, knows, options);
    expectComplete(broken);
    expect(counts(broken)).toEqual({ schedules: 5, failing: 1 });
    expect(broken.failing[0]!.decisions).toBe("bob ann ann bob");
    const mended = await run({ ann, bob: early }, knows, options);
    expectComplete(mended);
    expect(counts(mended)).toEqual({ schedules: 6, failing: 0 });
    client.release();
  });
});

describe("other drivers", () => {
  const isTwo = async (sql: Sql) => (await sql`select amount from accounts where id = 1`)[0]!.amount === 2;

  test("postgres.js", async () => {
    const sql = postgres(db.url);
    const report = await run(
      two(
        () => () =>
          sql.begin(async (transaction) => {
            const [account] = await transaction`select amount from accounts where id = 1`;
            await transaction`update accounts set amount = ${account!.amount + 1} where id = 1`;
          }),
      ),
      isTwo,
    );
    await sql.end();
    expectComplete(report);
    expect(counts(report)).toEqual({ schedules: 50, failing: 40 });
  });

  test("drizzle", { tags: "long" }, async () => {
    const orm = drizzle(app.pool);
    const report = await run(
      two(
        () => () =>
          orm.transaction(async (transaction) => {
            const { rows } = await transaction.execute(statement`select amount from accounts where id = 1`);
            await transaction.execute(
              statement`update accounts set amount = ${Number(rows[0]!.amount) + 1} where id = 1`,
            );
          }),
      ),
      isTwo,
    );
    expectComplete(report);
    expect(counts(report)).toEqual({ schedules: 50, failing: 40 });
  });
});
