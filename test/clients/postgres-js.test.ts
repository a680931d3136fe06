/**
 * postgres.js with a pool of 20: pipelines, prepared and unprepared statements, transactions, cursors, errors.
 *
 * Its COPY is in postgres-js-copy.test.ts. LISTEN is not tested: all connections share one PostgreSQL session here, so
 * that a notification has no connection of its own to go to.
 */
import { setTimeout as pause } from "node:timers/promises";
import postgres from "postgres";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { atOnce } from "./support/at-once.ts";
import { type ServerProcess, startOurs } from "./support/server-process.ts";

let server: ServerProcess;
const pools: postgres.Sql[] = [];

beforeAll(async () => {
  server = await startOurs();
});
afterEach(async () => {
  await Promise.all(pools.splice(0).map((sql) => sql.end({ timeout: 5 })));
  await server.expectHealthy();
});
afterAll(() => server?.stop());

/** `max_pipeline`, the queries that a connection sends ahead, is missing in the published types. */
interface PoolOptions {
  readonly max?: number;
  readonly prepare?: boolean;
  readonly max_pipeline?: number;
}

function pool(options: PoolOptions = {}): postgres.Sql {
  const sql = postgres(server.url, { max: 20, onnotice: () => {}, ...options });
  pools.push(sql);
  return sql;
}

/** Query number `n`, of one of six shapes with one to five parameters, and what must come back. */
function ask(sql: postgres.Sql, n: number): [PromiseLike<unknown>, unknown] {
  const text = `text ${n}`;
  switch (n % 6) {
    case 0:
      return [sql`select ${n}::int as n`, [{ n }]];
    case 1:
      return [
        sql`select ${n}::int as a, ${text} as b, ${n + 1}::int as c, ${n / 2}::float8 as d, ${null}::text as e`,
        [{ a: n, b: text, c: n + 1, d: n / 2, e: null }],
      ];
    case 2:
      return [sql`select * from unnest(${[n, n + 1, n + 2]}::int[]) as u(n)`, [{ n }, { n: n + 1 }, { n: n + 2 }]];
    case 3:
      return [
        sql`select ${sql.json({ n, deep: [text] })}::jsonb as j, ${Buffer.from(text)}::bytea as bytes`,
        [{ j: { n, deep: [text] }, bytes: Buffer.from(text) }],
      ];
    case 4:
      return [sql`select ${n}::int as n where false`, []];
    default:
      return [
        sql`select ${sql(["n"])} from generate_series(1, ${n % 50}) n`,
        Array.from({ length: n % 50 }, (_, at) => ({ n: at + 1 })),
      ];
  }
}

describe.each([
  ["prepared", { prepare: true }],
  ["unprepared", { prepare: false }],
  ["prepared, without pipelining", { prepare: true, max_pipeline: 1 }],
])("%s statements", (_, options) => {
  test("a pool of 20 gets every answer right, 3000 queries in flight", async () => {
    const sql = pool(options);
    const asked = Array.from({ length: 3000 }, (_, n) => ask(sql, n));
    const answers = await Promise.all(asked.map(([query]) => query));
    for (const [n, answer] of answers.entries()) expect([...(answer as unknown[])]).toEqual(asked[n]![1]);
  });
});

test("one connection pipelines 2000 queries while another pool does the same", async () => {
  await atOnce(2, async () => {
    const sql = pool({ max: 1, max_pipeline: 2000 });
    const answers = await Promise.all(Array.from({ length: 2000 }, (_, n) => sql`select ${n}::int * 2 as twice`));
    expect(answers.map(([row]) => row!.twice)).toEqual(Array.from({ length: 2000 }, (_, n) => n * 2));
  });
});

test("60 transactions on 20 connections keep the sum, and the ones that fail leave nothing", async () => {
  const sql = pool();
  await sql`create table account (id integer primary key, balance integer not null check (balance >= 0))`;
  await sql`insert into account select n, 1000 from generate_series(1, 10) n`;
  const outcomes = await atOnce(60, (n) =>
    sql
      .begin(async (sql) => {
        const [from, to] = [(n % 10) + 1, ((n + 3) % 10) + 1];
        // In one order, or some of them would be ended as a deadlock.
        await sql`select from account where id in (${from}, ${to}) order by id for update`;
        await sql`update account set balance = balance + ${n} where id = ${to}`;
        await sql`update account set balance = balance - ${n % 3 === 0 ? 100_000 : n} where id = ${from}`;
        return (await sql`select sum(balance)::int as sum from account`)[0]!.sum;
      })
      .catch((error: postgres.PostgresError) => error.code),
  );
  expect(outcomes).toEqual(outcomes.map((_, n) => (n % 3 === 0 ? "23514" : 10_000)));
  const expected = Array.from({ length: 10 }, (_, at) => ({ id: at + 1, balance: 1000 }));
  for (const n of outcomes.keys()) {
    if (n % 3 === 0) continue;
    expected[(n + 3) % 10]!.balance += n;
    expected[n % 10]!.balance -= n;
  }
  expect([...(await sql`select * from account order by id`)]).toEqual(expected);
});

test("savepoints, isolation levels and pipelined statements inside transactions, 20 at once", async () => {
  const sql = pool();
  await sql`create table step (n integer, name text)`;
  await atOnce(20, (n) =>
    sql.begin("isolation level repeatable read", async (sql) => {
      await sql`insert into step values (${n}, 'kept')`;
      const failed = sql.savepoint(async (sql) => {
        await sql`insert into step values (${n}, 'undone')`;
        await sql`select 1 / ${0}::int`;
      });
      await expect(failed).rejects.toMatchObject({ code: "22012" });
      const [level, , rows] = await Promise.all([
        sql`show transaction_isolation`,
        sql`insert into step values (${n}, 'pipelined')`,
        sql`select name from step where n = ${n} order by name`,
      ]);
      expect(level[0]!.transaction_isolation).toBe("repeatable read");
      expect(rows.map(({ name }) => name)).toEqual(["kept", "pipelined"]);
    }),
  );
  expect((await sql`select name, count(*)::int from step group by 1 order by 1`).map((row) => ({ ...row }))).toEqual([
    { name: "kept", count: 20 },
    { name: "pipelined", count: 20 },
  ]);
});

test("cursors read to their end or are left early, ten at once, with other queries in between", async () => {
  const sql = pool();
  const [counts] = await Promise.all([
    atOnce(10, async (index) => {
      let read = 0;
      const rows = sql`select n::int * ${index}::int as product from generate_series(1, 1000) n`;
      for await (const batch of rows.cursor(70)) {
        for (const row of batch) expect(row.product).toBe(++read * index);
        if (index % 2 === 1 && read >= 350) break;
      }
      return read;
    }),
    atOnce(200, async (n) => expect([...(await sql`select ${n}::int as n`)]).toEqual([{ n }])),
  ]);
  expect(counts).toEqual(counts.map((_, index) => (index % 2 === 1 ? 350 : 1000)));
});

test("a slow reader of a cursor holds nobody up for ever", async () => {
  const sql = pool();
  let over = false;
  const slow = (async () => {
    let read = 0;
    for await (const batch of sql`select n::int from generate_series(1, 300) n`.cursor(100)) {
      read += batch.length;
      // The slow client is what is tested: nothing is waited for here.
      await pause(200);
    }
    over = true;
    return read;
  })();
  let answered = 0;
  while (!over) {
    expect([...(await sql`select ${answered}::int as n`)]).toEqual([{ n: answered }]);
    answered++;
  }
  expect(await slow).toBe(300);
  expect(answered).toBeGreaterThan(0);
});

test("errors of every kind reach the query that made them, and no other, on 20 connections", async () => {
  const sql = pool();
  await sql`create table once (n integer primary key)`;
  await sql`insert into once values (1)`;
  const kinds: (readonly [(n: number) => PromiseLike<unknown>, string | undefined])[] = [
    [(n) => sql`select ${n}::int as n`, undefined],
    [() => sql`select * from nowhere`, "42P01"],
    [() => sql`selec 1`, "42601"],
    [(n) => sql`select 1 / (${n}::int - ${n}::int) as n`, "22012"],
    [() => sql`insert into once values (${1})`, "23505"],
    [() => sql`select ${"many"}::text::int`, "22P02"],
    [() => sql.unsafe("select 1; select 1 / 0; select 3"), "22012"],
    [() => sql.unsafe("do $$ begin raise exception using errcode = 'MY001', message = 'mine'; end $$"), "MY001"],
  ];
  await atOnce(800, async (n) => {
    const [query, code] = kinds[n % kinds.length]!;
    if (code) await expect(query(n)).rejects.toMatchObject({ code });
    else expect([...((await query(n)) as unknown[])]).toEqual([{ n }]);
  });
});

test("simple queries of several statements, described statements and reserved connections", async () => {
  const sql = pool();
  await atOnce(20, async (n) => {
    const several = await sql.unsafe(
      `select ${n} as a; select ${n} as b, 'x' as c; create temp table if not exists t${n} ()`,
    );
    expect(several.slice(0, 2).map((rows: unknown) => [...(rows as unknown[])])).toEqual([
      [{ a: n }],
      [{ b: n, c: "x" }],
    ]);
    const { columns, types } = await sql`select ${n}::int as a, ${"x"}::text as b`.describe();
    expect([types, columns.map(({ name, type }) => [name, type])]).toEqual([
      [23, 25],
      [
        ["a", 23],
        ["b", 25],
      ],
    ]);
    const reserved = await sql.reserve();
    try {
      await reserved`begin`;
      expect([...(await reserved`select ${n}::int as n, now() = now() as same`)]).toEqual([{ n, same: true }]);
    } finally {
      await reserved`rollback`;
      reserved.release();
    }
  });
});
