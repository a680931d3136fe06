/** Prepared statements of connections that stay open while the server goes back: they are as after DDL, with PostgreSQL's own errors. */
import pg from "pg";
import postgres from "postgres";
import { afterEach, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type DevDb, startDevDb } from "../../src/index.ts";
import { errorFields, message, rows, types, WireClient } from "../support/wire-client.ts";

const { parse, bind, describe: describeMessage, execute, close, sync } = message;

let db: DevDb;
beforeAll(async () => {
  db = await startDevDb({ port: 0, migrations: "none", log: () => {} });
  const client = await WireClient.login({ port: Number(new URL(db.url).port) });
  await client.query(
    "create table t (v bigint, w text); insert into t values (5, 'five'); create type mood as enum ('a')",
  );
  client.destroy();
  await db.snapshot("before");
  return () => db.close();
});
afterEach(() => db.restore("before"));

async function connect(): Promise<WireClient> {
  const client = await WireClient.login({ port: Number(new URL(db.url).port) });
  onTestFinished(() => client.destroy());
  return client;
}

/** What a client is told that uses a statement: the rows, or the SQLSTATE of an error and its message. */
async function use(client: WireClient, name: string, values: string[] = []): Promise<unknown> {
  client.send(bind("", name, values), describeMessage("P", ""), execute(""), sync());
  const answer = await client.until("Z");
  const error = errorFields(answer);
  return error ? [error.get("C"), error.get("M")] : rows(answer);
}

const changed = ["0A000", "cached plan must not change result type"];

describe("a statement that was prepared before the server went back", () => {
  test.each([
    ["a column has another type", "alter table t alter v type int using 5", "select * from t"],
    ["there is another column", "alter table t add x int", "select * from t"],
    ["there is one column less", "alter table t drop w", "select * from t"],
    ["a column has another name", "alter table t rename w to x", "select * from t"],
    ["a column has another length", "alter table t alter w type varchar(9)", "select * from t"],
    ["it returns what it has written", "alter table t add x int", "insert into t (v) values (6) returning *"],
  ])("is refused when %s then", async (_, ddl, sql) => {
    const client = await connect();
    await client.query(ddl);
    client.send(parse("s", sql), sync());
    expect(types(await client.until("Z"))).toBe("1Z");
    await db.restore("before");
    for (let round = 0; round < 2; round++) expect(await use(client, "s")).toEqual(changed);
    client.send(describeMessage("S", "s"), sync());
    expect(errorFields(await client.until("Z"))?.get("C")).toBe("0A000");
    client.send(close("S", "s"), parse("s", sql), sync());
    expect(types(await client.until("Z"))).toBe("31Z");
    expect(await use(client, "s")).not.toEqual(changed);
  });

  test("is used on when its result is what it was", async () => {
    const client = await connect();
    await client.query("alter table t add x int");
    client.send(parse("s", "select v from t where v = $1"), parse("none", "update t set w = 'x'"), sync());
    await client.until("Z");
    await db.restore("before");
    expect(await use(client, "s", ["5"])).toEqual([["5"]]);
    expect(await use(client, "none")).toEqual([]);
  });

  test("is used on when its table has the columns again that it had", async () => {
    const client = await connect();
    await client.query("alter table t add x int");
    client.send(parse("s", "select * from t"), sync());
    await client.until("Z");
    await db.restore("before");
    expect(await use(client, "s")).toEqual(changed);
    await client.query("alter table t add x int");
    expect(await use(client, "s")).toEqual([["5", "five", null]]);
  });

  test("has PostgreSQL's own error when it cannot be prepared any more, until it can", async () => {
    const client = await connect();
    await client.query("create table late (n int); insert into late values (7)");
    const sql = "select n + $1::int as sum from late";
    client.send(parse("s", sql), parse("w", "insert into late values ($1) returning n"), sync());
    await client.until("Z");
    await db.restore("before");
    const missing = ["42P01", 'relation "late" does not exist'];
    for (let round = 0; round < 2; round++) expect(await use(client, "s", ["1"])).toEqual(missing);
    expect(await use(client, "w", ["1"])).toEqual(missing);
    client.send(parse("s", "select 1"), sync());
    expect(errorFields(await client.until("Z"))?.get("C")).toBe("42P05");
    expect(rows(await client.query("select statement from pg_prepared_statements where name = 's'"))).toEqual([[sql]]);
    await client.query("create table late (n int); insert into late values (8)");
    expect(await use(client, "s", ["1"])).toEqual([["9"]]);
    client.send(bind("", "w", ["9"]), execute(""), sync());
    const inserted = (await client.until("Z")).find(({ type }) => type === "C");
    expect(inserted?.body.toString()).toBe("INSERT 0 1\0");
    await db.restore("before");
    expect(await use(client, "s", ["1"])).toEqual(missing);
    client.send(close("S", "s"), sync());
    await client.until("Z");
    expect(await use(client, "s")).toEqual(["26000", 'prepared statement "s" does not exist']);
  });

  test("is prepared again by the drivers that do so after DDL", async () => {
    const client = new pg.Client(db.url);
    await client.connect();
    onTestFinished(() => client.end());
    const sql = postgres(db.url, { max: 1, onnotice: () => {} });
    onTestFinished(() => sql.end({ timeout: 1 }));
    await sql`alter table t alter v type int using 5`;
    const named = { name: "n", text: "select * from t" };
    expect((await client.query(named)).rows).toEqual([{ v: 5, w: "five" }]);
    expect(await sql`select * from t`).toEqual([{ v: 5, w: "five" }]);
    await db.restore("before");
    await expect(client.query(named)).rejects.toMatchObject({ code: "0A000" });
    expect(await sql`select * from t`).toEqual([{ v: "5", w: "five" }]);
  });
});
