/** `trace check`: lost updates and write skew, by real recordings; the same programs, put right, are not accused. */
import pg from "pg";
import postgres from "postgres";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type DevDb, startDevDb } from "../../src/index.ts";
import { findAnomalies } from "../../src/trace/anomalies/anomalies.ts";
import { openTrace } from "../../src/trace/read/trace-reader.ts";
import { runCli } from "../support/cli-process.ts";
import { waitUntil } from "../support/wait-until.ts";
import { recordBefore } from "./support/recorded.ts";

let db: DevDb;
let admin: pg.Client;

beforeAll(async () => {
  db = await startDevDb({ port: 0, migrations: "none" });
  admin = new pg.Client({ connectionString: db.url });
  await admin.connect();
  await admin.query(`
    create table seats (id int primary key, free int, version int default 0, state text, seen timestamptz);
    create table doctors (id int primary key, name text, on_call bool);
    create table "Seats" (id int primary key, free int)`);
});

afterAll(async () => {
  await admin.end();
  await db.close();
});

beforeEach(async () => {
  await admin.query(`
    truncate seats, doctors, "Seats";
    insert into seats (id, free, state) values (1, 10, 'open'), (2, 20, 'open');
    insert into "Seats" values (1, 10);
    insert into doctors values (1, 'ann', true), (2, 'bob', true), (3, 'cleo', false)`);
});

type Say = (sql: string, ...values: unknown[]) => Promise<unknown>;

/** What two connections do, recorded; the file, and the findings as `kind: sentence`. */
async function recorded(act: (ann: Say, bob: Say) => Promise<unknown>): Promise<{ file: string; found: string[] }> {
  const proxy = await recordBefore(db.port);
  const clients = await Promise.all(
    [0, 1].map(async () => {
      const url = db.url.replace(/:\d+\//, `:${proxy.port}/`);
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      return client;
    }),
  );
  const [ann, bob] = clients.map(
    (client): Say =>
      (sql, ...values) =>
        client.query(sql, values),
  ) as [Say, Say];
  try {
    await act(ann, bob);
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
  const file = await proxy.stop();
  return { file, found: [...findAnomalies(openTrace(file))].map(({ kind, sentence }) => `${kind}: ${sentence}`) };
}

const read = "select id, free from seats where id = $1";
const write = "update seats set free = $1 where id = $2";

describe("a lost update", () => {
  /** Bob reads and writes between Ann's read and her write. */
  const meet = (ann: Say, bob: Say, { begin = "begin", reading = read, writing = write, values = [9, 1] } = {}) => {
    const one = async (say: Say, other?: () => Promise<unknown>) => {
      await say(begin);
      await say(reading, ...(reading.includes("$1") ? [1] : []));
      await other?.();
      await say(writing, ...values.slice(0, writing.match(/\$\d/g)?.length ?? 0));
      await say("commit");
    };
    return one(ann, () => one(bob));
  };

  test("of a value that was read, with the lines of the trace", async () => {
    const { file, found } = await recorded((ann, bob) => meet(ann, bob));
    expect(found).toEqual([
      expect.stringMatching(
        /^lost update: wrote seats\.free \(id = 1\) over the value of connection \d, which it had not read: read it at line \d+, connection \d wrote at line \d+ and had committed at line \d+$/,
      ),
    ]);
    const end = await runCli(["trace", "check", file]);
    expect(end.code).toBe(1);
    expect(end.stdout).toMatch(/recorded\.trace:\d+ {2}[\d.]+ {2}lost update: connection \d wrote seats\.free/);
    expect(end.stdout).toContain("1 finding in ");
    // The lines are those of what was said.
    const lines = [...end.stdout.matchAll(/(?:line |trace:)(\d+)/g)].map(([, line]) => Number(line));
    const shown = (await runCli(["trace", "show", file, "--table", "seats"])).stdout;
    expect(lines).toHaveLength(4);
    expect(shown).toContain("UPDATE 1");
  });

  test.each([
    [
      "literals, simple queries",
      { reading: "select * from seats where id = 1", writing: "update seats set free = 9 where id = 1" },
    ],
    [
      "quoted, qualified, in parentheses",
      {
        reading: `select "seats"."id", "seats"."free" as f from "seats" where ("seats"."id" = $1) limit 1`,
        writing: `UPDATE "seats" SET "free" = $1 WHERE "seats"."id" = $2`,
      },
    ],
    ["by a condition on several columns", { reading: "select free from seats where id = $1 and state = 'open'" }],
  ])("is found: %s", async (_, how) => {
    const { found } = await recorded((ann, bob) => meet(ann, bob, how));
    expect(found).toEqual([expect.stringContaining("lost update: wrote seats.free (id = 1)")]);
  });

  test("is found with postgres.js, and where the other one is a statement by itself", async () => {
    const proxy = await recordBefore(db.port);
    const sql = postgres(db.url.replace(/:\d+\//, `:${proxy.port}/`), { max: 2 });
    await sql.begin(async (ann) => {
      const [seat] = await ann`select free from seats where id = ${1}`;
      await sql`update seats set free = free - 1 where id = ${1}`;
      await ann`update seats set free = ${seat!.free - 1} where id = ${1}`;
    });
    await sql.end();
    const found = [...findAnomalies(openTrace(await proxy.stop()))];
    expect(found).toMatchObject([{ kind: "lost update" }]);
  });

  test.each([
    ["computed by the server", { writing: "update seats set free = free - 1 where id = 1" }],
    [
      "optimistic locks",
      { writing: "update seats set free = $1, version = version + 1 where id = $2 and version = 0" },
    ],
    ["a column that nobody has read", { reading: "select id from seats where id = $1" }],
    ["a row that nobody has read", { reading: "select free from seats where id = 2" }],
    [
      "both say the same",
      { reading: "select state from seats where id = $1", writing: "update seats set state = 'taken' where id = 1" },
    ],
    [
      "a clock",
      { reading: "select * from seats where id = $1", writing: "update seats set seen = now() where id = 1" },
    ],
    ["a table of another name", { reading: `select free from "Seats" where id = $1` }],
  ])("is none: %s", async (_, how) => {
    const { found } = await recorded((ann, bob) => meet(ann, bob, how));
    expect(found).toEqual([]);
  });

  /** Both at once, where the second one has to wait. */
  const atOnce = async (ann: Say, bob: Say, begin: string, reading: string) => {
    const one = async (say: Say, isIn: () => Promise<unknown>): Promise<void> => {
      try {
        await say(begin);
        const { rows } = (await say(reading, 1)) as pg.QueryResult;
        await isIn();
        await say(write, rows[0].free - 1, 1);
        await say("commit");
      } catch (error) {
        await say("rollback");
        expect((error as pg.DatabaseError).code).toBe("40001");
        await one(say, async () => undefined);
      }
    };
    let second: Promise<void> | undefined;
    await one(ann, async () => {
      let hasRead = false;
      second = one(bob, async () => (hasRead = true));
      const waits = "select count(*)::int as n from pg_stat_activity where cardinality(pg_blocking_pids(pid)) > 0";
      await waitUntil(
        "the other one has read or waits",
        async () => hasRead || (await admin.query(waits)).rows[0].n > 0,
      );
    });
    await second;
  };

  test.each([
    ["for update", "begin", `${read} for update`],
    ["repeatable read, with retry", "begin isolation level repeatable read", read],
    ["serializable, with retry", "begin isolation level serializable", read],
  ])("is none: %s", async (_, begin, reading) => {
    const { found } = await recorded((ann, bob) => atOnce(ann, bob, begin, reading));
    expect(found).toEqual([]);
    expect((await admin.query("select free from seats where id = 1")).rows).toEqual([{ free: 8 }]);
  });

  test("is none: what was read first was read again behind a lock", async () => {
    const { found } = await recorded(async (ann, bob) => {
      await ann("begin");
      await ann(read, 1);
      await bob(write, 5, 1);
      await ann(`${read} for update`, 1);
      await ann(write, 4, 1);
      await ann("commit");
    });
    expect(found).toEqual([]);
  });

  test("is none: one after the other, rolled back, changed back, or no transaction", async () => {
    const { found } = await recorded(async (ann, bob) => {
      for (const say of [ann, bob]) {
        for (const sql of [
          "begin",
          "select free from seats where id = 1",
          "update seats set free = 3 where id = 1",
          "commit",
        ])
          await say(sql);
      }
      await meet(ann, async (sql, ...values) => bob(sql === "commit" ? "rollback" : sql, ...values));
      await ann("begin");
      await ann(read, 1);
      await bob(write, 100, 1);
      await bob(write, 9, 1);
      await ann(write, 7, 1);
      await ann("commit");
      await ann(read, 1);
      await bob(write, 6, 1);
      await ann(write, 5, 1);
    });
    expect(found).toEqual([]);
  });
});

describe("write skew", () => {
  /** Two doctors on call, of whom each leaves if there are two; true: both have. */
  const leave = async (ann: Say, bob: Say, level: string, reading: string): Promise<boolean> => {
    for (const say of [ann, bob]) {
      await say(`begin isolation level ${level}`);
      await say(reading);
    }
    const ends = [];
    for (const [say, id] of [
      [ann, 1],
      [bob, 2],
    ] as const) {
      try {
        await say("update doctors set on_call = false where id = $1", id);
        await say("commit");
        ends.push(true);
      } catch (error) {
        expect((error as pg.DatabaseError).code).toBe("40001");
        await say("rollback");
      }
    }
    return ends.length === 2;
  };

  test.each([
    "select id from doctors where on_call",
    "select * from doctors where on_call = true",
    `select "id", "name", "on_call" from "doctors" order by "id"`,
  ])("is found under repeatable read: %s", async (reading) => {
    let both: boolean | undefined;
    const { found } = await recorded(async (ann, bob) => (both = await leave(ann, bob, "repeatable read", reading)));
    expect(both).toBe(true);
    expect(found).toEqual([
      expect.stringMatching(
        /^write skew: and connection \d have each changed what the other one had read: doctors\.on_call \(id = 2\)|\(id = 1\)/,
      ),
    ]);
  });

  test("is none under serializable", async () => {
    let both: boolean | undefined;
    const reading = "select id from doctors where on_call";
    const { found } = await recorded(async (ann, bob) => (both = await leave(ann, bob, "serializable", reading)));
    expect(both).toBe(false);
    expect(found).toEqual([]);
  });

  test("is none where they lock what they read, or read something else", async () => {
    const { found } = await recorded(async (ann, bob) => {
      await leave(ann, bob, "repeatable read", "select name from doctors where on_call");
      await admin.query("update doctors set on_call = true");
      await leave(ann, bob, "repeatable read", "select id, name from doctors");
      await admin.query("update doctors set on_call = true");
      // The other one's row is not among those that were read.
      await leave(ann, bob, "repeatable read", "select * from doctors where id = 3");
    });
    expect(found).toEqual([]);
  });
});
