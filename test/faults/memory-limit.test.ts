/** A database in memory at its limit: who wants more gets 53100, and everything else goes on. */
import pg from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import { defaultMemoryLimit, memoryBudget } from "../../src/cluster/memory-budget.ts";
import { type DevDb, startDevDb } from "../../src/index.ts";

const lines: string[] = [];
const start = async (sessions: "isolated" | "shared"): Promise<DevDb> => {
  const db = await startDevDb({
    ...{ port: 0, migrations: "none", sessions, memoryLimitMb: 128 },
    log: (level, line) => void lines.push(`${level}: ${line}`),
  });
  onTestFinished(() => db.close());
  return db;
};

async function connect(db: DevDb): Promise<pg.Client> {
  const client = new pg.Client(db.url);
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

const fill = "insert into big select repeat('x', 1000) from generate_series(1, 300000)";

describe.each(["isolated", "shared"] as const)("%s sessions", (sessions) => {
  test("who wants more than the limit gets 53100, all others go on, and what is dropped can be used again", async () => {
    const db = await start(sessions);
    const [one, other] = [await connect(db), await connect(db)];
    await one.query("create table small (n int); create table big (t text)");
    const inserted = one.query(fill).then(
      () => "done",
      ({ code }) => code,
    );
    await other.query("insert into small values (1)");
    expect(await inserted).toBe("53100");
    // Neither WAL nor a checkpoint is refused anything.
    await other.query("update small set n = n + 1; checkpoint");
    expect((await other.query("select n from small")).rows).toEqual([{ n: 2 }]);
    await expect(other.query("select count(*) from generate_series(1, 5000000)")).rejects.toMatchObject({
      code: "53100",
    });
    await one.query("truncate big");
    await one.query("insert into big select 'x' from generate_series(1, 1000)");
    expect((await one.query("select count(*)::int as n from big")).rows).toEqual([{ n: 1000 }]);
    expect(lines.filter((line) => line.includes("53100"))).toEqual([
      expect.stringMatching(/^info: warning: the database in memory has reached its limit of 128 MB.*--memory-limit/),
    ]);
    lines.splice(0);
  });
});

test("--memory-limit is for a database in memory", async () => {
  const start = startDevDb({ port: 0, migrations: "none", db: "./data", memoryLimitMb: 128 });
  await expect(start).rejects.toThrow("memoryLimitMb in the options: needs a database in memory");
});

test("the limit is half of what the container, or else the machine, has", () => {
  const gb = 2 ** 30;
  expect([
    defaultMemoryLimit(4 * gb, 16 * gb),
    defaultMemoryLimit(0, 16 * gb),
    defaultMemoryLimit(2 ** 63, 16 * gb),
  ]).toEqual([2 * gb, 8 * gb, 8 * gb]);
  expect(memoryBudget.refuses({ name: "1", parent: { name: "base" } } as never)).toBe(false);
});
