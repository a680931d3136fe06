/** A database in memory at its limit: who wants more gets 53100, and everything else goes on. */
import pg from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import { defaultMemoryLimit, memoryBudget } from "../../src/cluster/memory-budget.ts";
import { type DevDb, startDevDb } from "../../src/index.ts";

const lines: string[] = [];
const start = async (branches: "on" | "off" = "off"): Promise<DevDb> => {
  lines.splice(0);
  const db = await startDevDb({
    ...{ port: 0, migrations: "none", branches, memoryLimitMb: 128 },
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

/** Ends with an error. */
async function fillUp(client: pg.Client, filling: string): Promise<never> {
  for (;;) await client.query(filling);
}

describe("a database at its limit", () => {
  // To give up the cursor's file PostgreSQL writes what it has of it, which is an error again.
  test("a second error, while the first one of a COMMIT is handled, ends no server", async () => {
    const db = await start();
    const [client, other] = [await connect(db), await connect(db)];
    // node-postgres takes the second error of a statement for one of the connection.
    client.on("error", () => {});
    await client.query("create table big (t text); set work_mem = '64kB'");
    await expect(
      fillUp(client, "insert into big select repeat('x', 1000) from generate_series(1, 1000)"),
    ).rejects.toMatchObject({ code: "53100" });
    await client.query("begin; declare held cursor with hold for select * from big; create table unseen ()");
    await expect(client.query("commit")).rejects.toMatchObject({ code: "53100" });
    await expect(other.query("select from unseen")).rejects.toMatchObject({ code: "42P01" });
    expect((await other.query("select length(t) as n from big limit 1")).rows).toEqual([{ n: 1000 }]);
  });

  test("who wants more than the limit gets 53100, all others go on, and what is dropped can be used again", async () => {
    const db = await start();
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
  });
});

test("at the limit memory can be given back: by DELETE and VACUUM, by DROP, and by TRUNCATE of a table with an index", async () => {
  const client = await connect(await start());
  await client.query("create table big (id serial primary key, t text); create table other (n int default 1)");
  const filling = "insert into big (t) select repeat('x', 1000) from generate_series(1, 1000)";
  await expect(fillUp(client, filling)).rejects.toMatchObject({ code: "53100" });
  await client.query("delete from big where id % 2 = 0");
  await client.query("vacuum big");
  await client.query("insert into big select 2 * n, repeat('x', 1000) from generate_series(1, 1000) n");
  // The catalogs grow.
  for (let index = 0; index < 50; index++) {
    await client.query(`create table t${index} (a int default 1, b int default 2, c int default 3)`);
  }
  await client.query("drop table other");
  await client.query("truncate big");
  await client.query(filling);
});

test("branches that are prepared give back what they have of dropped tables", async () => {
  const db = await start("on");
  const client = await connect(db);
  await client.query("create table gone as select repeat('x', 1000) from generate_series(1, 20000)");
  const branch = new pg.Client(`${db.url}~one`);
  await branch.connect();
  await branch.end();
  const prepared = async () => {
    const counted = await client.query("select count(*)::int as n from pg_database where datname like '%~ready:%'");
    return counted.rows[0].n;
  };
  await expect.poll(prepared).toBeGreaterThan(0);
  await client.query("drop table gone; create table big (t text)");
  await expect(
    fillUp(client, "insert into big select repeat('x', 1000) from generate_series(1, 1000)"),
  ).rejects.toMatchObject({ code: "53100" });
  await expect.poll(prepared).toBe(0);
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
  expect(memoryBudget.refuses({ name: "1", parent: { name: "base" } } as never, 8192)).toBe(false);
});
