/**
 * Who may decide about the clients of a database, and who may have a branch made: whoever PostgreSQL would let do as much.
 */
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ServerClient } from "../../src/dev-db/server-client.ts";
import { makesBranch } from "../../src/engine/branches.ts";
import { GateClient } from "../../src/explore/gate-client.ts";
import { type DevDb, startDevDb } from "../../src/index.ts";

let db: DevDb;
let client: pg.Client;

beforeAll(async () => {
  db = await startDevDb({ port: 0, migrations: "none" });
  client = new pg.Client({ connectionString: db.url });
  await client.connect();
  await client.query("create role plain login; create role maker login createdb; create role nobody");
});

afterAll(async () => {
  await client.end();
  await db.close();
});

/** The URL of another user, and of another database. */
function urlOf(user: string, database = "postgres"): string {
  const url = new URL(db.url);
  url.username = user;
  url.pathname = `/${database}`;
  return url.href;
}

test("only a superuser that there is decides about others", async () => {
  const codes: unknown[] = [];
  for (const user of ["nosuchrole", "nobody", "plain", "maker"]) {
    const gate = new GateClient(urlOf(user));
    codes.push(await gate.ask({ do: "hold", records: false, ms: 1000 }).catch((error) => error.code));
    await gate.close();
  }
  expect(codes).toEqual(["28000", "28000", "42501", "42501"]);
  const elsewhere = new GateClient(urlOf("postgres", "nosuchdatabase"));
  await expect(elsewhere.ask({ do: "hold", records: false, ms: 1000 })).rejects.toMatchObject({ code: "3D000" });
  expect((await client.query("select 7 as n")).rows).toEqual([{ n: 7 }]);
  const gate = new GateClient(db.url);
  await gate.ask({ do: "open" });
  await gate.close();
});

test("a branch is made for a role that may log in and copy the database", async () => {
  const connect = async (user: string): Promise<unknown> => {
    const url = urlOf(user, `postgres~${user}`);
    const one = await ServerClient.connect(url, { parameters: makesBranch }).catch((error) => error.code);
    if (typeof one !== "string") one.close();
    return typeof one === "string" ? one : "in";
  };
  const found: unknown[] = [];
  for (const user of ["nosuchrole", "nobody", "plain", "maker"]) found.push(await connect(user));
  await client.query("alter database postgres owner to maker");
  found.push(await connect("maker"));
  const refused = expect.stringMatching(/28000|3D000/);
  expect(found).toEqual([refused, refused, "42501", "42501", "in"]);
  const { rows } = await client.query(
    "select datname from pg_database where datname like 'postgres~%' and datname !~ '~ready:'",
  );
  expect(rows).toEqual([{ datname: "postgres~maker" }]);
});
