/** Settings that an application reads or relies on are PostgreSQL's own, and mean what they say. */
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type DevDb, startDevDb } from "../../src/index.ts";
import { errorFields, message, rows, WireClient } from "../support/wire-client.ts";

let db: DevDb;
beforeAll(async () => {
  db = await startDevDb({ port: 0, migrations: "none", maxConnections: 5, log: () => {} });
  const client = await WireClient.login(address());
  await client.query("create role app login; create schema app authorization app");
  await client.end();
  return () => db.close();
});

const address = () => ({ port: Number(new URL(db.url).port) });

async function connect(user = "postgres"): Promise<WireClient> {
  const client = await WireClient.login(address(), { user });
  onTestFinished(() => client.end());
  return client;
}

const value = async (client: WireClient, sql: string) => rows(await client.query(sql))[0]?.[0];

test("the search path begins with the schema of the role's name", async () => {
  const [app, other] = [await connect("app"), await connect()];
  expect(await value(app, "show search_path")).toBe('"$user", public');
  expect(await value(app, "select source from pg_settings where name = 'search_path'")).toBe("default");
  await app.query("create table mine (n int)");
  expect(await value(other, "select schemaname from pg_tables where tablename = 'mine'")).toBe("app");
});

describe("max_connections", () => {
  test("is the option's value, of which three are for superusers", async () => {
    const client = await connect();
    expect(await value(client, "show max_connections")).toBe("5");
    expect(await value(client, "select reset_val from pg_settings where name = 'max_connections'")).toBe("5");
    expect(await value(client, "show superuser_reserved_connections")).toBe("3");
  });

  test("leaves the last three connections to superusers", async () => {
    await connect("app");
    await connect("app");
    const refused = await WireClient.connect(address());
    refused.send(message.startup({ user: "app", database: "postgres" }));
    let last = await refused.next();
    while (!"EZ".includes(last.type)) last = await refused.next();
    const error = errorFields([last]);
    expect([error?.get("S"), error?.get("C")]).toEqual(["FATAL", "53300"]);
    expect(error?.get("M")).toContain("reserved for roles with the SUPERUSER attribute");
    for (let more = 0; more < 3; more++) await connect();
  });
});
