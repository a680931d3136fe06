/**
 * pg (node-postgres) with a pool of 20: prepared statements of one name, transactions, partial results, errors; and the
 * same prepared statements on the stock library, where they collide.
 */
import pg from "pg";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { atOnce } from "./support/at-once.ts";
import { type ServerProcess, startOurs, startStock } from "./support/server-process.ts";

let server: ServerProcess;
const pools: pg.Pool[] = [];

beforeAll(async () => {
  server = await startOurs();
});
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.end()));
  await server.expectHealthy();
});
afterAll(() => server?.stop());

function poolOf20(): pg.Pool {
  const pool = new pg.Pool({ connectionString: server.url, max: 20 });
  pools.push(pool);
  return pool;
}

/** Asks one and five parameters in turn and returns how many of the answers were wrong or errors. */
async function countWrong(clients: readonly pg.ClientBase[], rounds: number, name: string | undefined) {
  const failures: string[] = [];
  await atOnce(clients.length, async (me) => {
    const client = clients[me]!;
    // Every client gives its own statements the same names.
    const named = (suffix: string) => (name === undefined ? {} : { name: name + suffix });
    for (let n = 0; n < rounds; n++) {
      const one = { ...named("1"), text: `select $1::int + ${me} as sum`, values: [n] };
      const five = {
        ...named("5"),
        text: `select $1::int a, $2::text b, $3::int c, $4::text d, ${me} + $5::int e`,
        values: [n, `b${n}`, me, `d${me}`, n],
      };
      await client.query<{ sum: number }>(one).then(
        ({ rows }) => (rows.length === 1 && rows[0]!.sum === n + me) || failures.push(`wrong: ${JSON.stringify(rows)}`),
        (error: Error) => failures.push(error.message),
      );
      const expected = JSON.stringify([{ a: n, b: `b${n}`, c: me, d: `d${me}`, e: me + n }]);
      await client.query(five).then(
        ({ rows }) => JSON.stringify(rows) === expected || failures.push(`wrong: ${JSON.stringify(rows)}`),
        (error: Error) => failures.push(error.message),
      );
    }
  });
  return { asked: clients.length * rounds * 2, failures };
}

async function connect(url: string, count: number, limitMs: number): Promise<pg.Client[]> {
  const clients = Array.from(
    { length: count },
    () => new pg.Client({ connectionString: url, connectionTimeoutMillis: limitMs, query_timeout: limitMs }),
  );
  for (const client of clients) client.on("error", () => {});
  await Promise.all(clients.map((client) => client.connect()));
  return clients;
}

test.each([
  ["unnamed", undefined],
  ["equally named", "same"],
])("20 clients get every answer of their %s statements right", async (_, name) => {
  const clients = await connect(server.url, 20, 30_000);
  try {
    expect(await countWrong(clients, 50, name)).toEqual({ asked: 2000, failures: [] });
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
});

test("the equally named statements of one client are right on the stock library, those of six are not", {
  tags: "long",
}, async () => {
  const stock = await startStock();
  const clients = await connect(stock.url, 6, 2000);
  try {
    expect(await countWrong(clients.slice(0, 1), 5, "alone")).toEqual({ asked: 10, failures: [] });
    const { asked, failures } = await countWrong(clients, 5, "same");
    expect(asked).toBe(60);
    expect(failures.join("\n")).toMatch(/already exists|wrong|bind message supplies|does not exist/);
  } finally {
    for (const client of clients) client.connection.stream.destroy();
    await stock.stop();
  }
});

test("a pool of 20 answers 2000 queries of mixed shapes", async () => {
  const pool = poolOf20();
  const answers = await atOnce(2000, async (n) => {
    const values = Array.from({ length: (n % 5) + 1 }, (_, at) => `${n}.${at}`);
    const text = `select ${values.map((_, at) => `$${at + 1}::text as p${at}`).join(", ")}, '{${n},null}'::int[] as list`;
    const { rows, fields } = await pool.query({ text, values });
    return [rows, fields.length, values, n] as const;
  });
  for (const [rows, fields, values, n] of answers) {
    expect(rows).toEqual([{ ...Object.fromEntries(values.map((value, at) => [`p${at}`, value])), list: [n, null] }]);
    expect(fields).toBe(values.length + 1);
  }
});

test("60 transactions on 20 connections are all or nothing", async () => {
  const pool = poolOf20();
  await pool.query("create table entry (n integer, part integer)");
  await atOnce(60, async (n) => {
    const client = await pool.connect();
    try {
      await client.query("begin");
      await client.query("insert into entry values ($1, 1)", [n]);
      if (n % 4 === 1) await expect(client.query("select $1::int / 0", [n])).rejects.toMatchObject({ code: "22012" });
      if (n % 4 === 1) await expect(client.query("select 1")).rejects.toMatchObject({ code: "25P02" });
      else await client.query("insert into entry values ($1, 2)", [n]);
      const { command } = await client.query(n % 4 === 2 ? "rollback" : "commit");
      // A failed transaction is rolled back, whatever its end is called.
      expect(command).toBe(n % 4 === 1 || n % 4 === 2 ? "ROLLBACK" : "COMMIT");
    } finally {
      client.release();
    }
  });
  const { rows } = await pool.query("select n, count(*)::int as parts from entry group by n order by n");
  const kept = Array.from({ length: 60 }, (_, n) => n).filter((n) => n % 4 !== 1 && n % 4 !== 2);
  expect(rows).toEqual(kept.map((n) => ({ n, parts: 2 })));
});

test("results in parts (portals) and DECLARE CURSOR, ten at once, beside other queries", async () => {
  const pool = poolOf20();
  const others = atOnce(200, async (n) => expect((await pool.query("select $1::int as n", [n])).rows).toEqual([{ n }]));
  await atOnce(10, async (me) => {
    const expected = Array.from({ length: 500 }, (_, at) => ({ product: at * me }));
    const text = "select n * $1::int as product from generate_series(0, 499) n";
    // `rows` is Execute's limit: pg goes on with the portal until all are there.
    const inParts = { text, values: [me], rows: 60 };
    expect((await pool.query(inParts)).rows).toEqual(expected);
    const client = await pool.connect();
    try {
      await client.query("begin");
      await client.query(`declare part cursor for ${text.replace("$1", `${me}`)}`);
      const read: unknown[] = [];
      for (let size = -1; size !== 0; ) {
        const { rows } = await client.query("fetch 130 from part");
        read.push(...rows);
        size = rows.length;
      }
      await client.query("commit");
      expect(read).toEqual(expected);
    } finally {
      client.release();
    }
  });
  await others;
});

test("an error in the middle of much belongs to its query alone", async () => {
  const pool = poolOf20();
  const kinds: readonly (readonly [string, unknown[], string | undefined])[] = [
    ["select $1::int as n", [7], undefined],
    ["select $1::int as n", ["seven"], "22P02"],
    ["select * from nowhere where n = $1", [7], "42P01"],
    ["select $1::int as n, $2::int", [7], "08P01"],
    ["select 1; select 1 / 0; select 2", [], "22012"],
    ["", [], undefined],
  ];
  await atOnce(600, async (n) => {
    const [text, values, code] = kinds[n % kinds.length]!;
    const asked = values.length > 0 ? pool.query(text, values) : pool.query(text);
    if (code) await expect(asked).rejects.toMatchObject({ code });
    else expect((await asked).rows).toEqual(text === "" ? [] : [{ n: 7 }]);
  });
});
