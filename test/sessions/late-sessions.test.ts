/** A session that begins with its client's first statement: what the login answer could not know is told then. */
import { beforeEach, expect, test } from "vitest";
import { productServer } from "../support/product-server.ts";
import { type BackendMessage, message, WireClient } from "../support/wire-client.ts";
import { isolatedSessionsAvailable, requireIsolatedSessions } from "./support/isolated.ts";

const server = isolatedSessionsAvailable ? productServer() : undefined;
beforeEach(requireIsolatedSessions);

const told = (messages: readonly BackendMessage[]): string[][] =>
  messages.filter(({ type }) => type === "S").map(({ body }) => body.toString("utf8").split("\0").slice(0, 2));

async function statusesOfANewClient(statement: string): Promise<string[][]> {
  const client: WireClient = await server!.login();
  const statuses = told(await client.query(statement));
  expect(told(await client.query("select 1"))).toEqual([]);
  return statuses;
}

test("settings of the role and of the database", async () => {
  const admin = await server!.login();
  expect(await statusesOfANewClient("select 1")).toEqual([]);
  await admin.query(
    "alter role postgres set timezone = 'Asia/Tokyo'; alter database postgres set datestyle = 'German'",
  );
  const changed = [
    ["DateStyle", "German, DMY"],
    ["TimeZone", "Asia/Tokyo"],
  ];
  expect((await statusesOfANewClient("select 1")).sort()).toEqual(changed);
  await admin.query("alter role postgres reset all; alter database postgres reset all");
  expect(await statusesOfANewClient("select 1")).toEqual([]);
});

test("settings of the configuration files, also at a login for which the session has begun", async () => {
  const admin = await server!.login();
  await admin.query("create role reader login");
  await admin.query("alter system set timezone = 'Europe/Vienna'");
  await admin.query("select pg_reload_conf()");
  expect(await statusesOfANewClient("select 1")).toEqual([["TimeZone", "Europe/Vienna"]]);
  const early = await WireClient.connect(server!.transport);
  early.send(message.startup({ user: "reader", database: "postgres" }));
  expect(told(await early.until("Z"))).toContainEqual(["TimeZone", "Europe/Vienna"]);
  await early.end();
  await admin.query("alter system reset timezone");
  await admin.query("select pg_reload_conf()");
  expect(await statusesOfANewClient("select 1")).toEqual([]);
});
