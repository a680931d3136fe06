/**
 * The engine dies while clients log in.
 */
import { expect, test } from "vitest";
import { executeSql } from "../../src/engine/execute-sql.ts";
import { outline, productServer } from "../support/product-server.ts";
import { sabotage, saboteur, subtransactions } from "../support/sabotage.ts";
import { waitUntil } from "../support/wait-until.ts";
import { message, rows, WireClient } from "../support/wire-client.ts";

const restore = "create role other login";
const server = productServer({
  engine: { extensions: [saboteur], restore: (fresh) => executeSql(fresh, restore) },
});

test("logins that wait for PostgreSQL are told, and nothing is left of them", async () => {
  await executeSql(server.engine, restore);
  const busy = await server.login();
  // The role cannot be looked up while its catalog is locked: PostgreSQL has to say whether there is one.
  await busy.query("begin; lock pg_authid in access exclusive mode");
  const waiting = await Promise.all(Array.from({ length: 3 }, () => WireClient.connect(server.transport)));
  for (const client of waiting) client.send(message.startup({ user: "other", database: "postgres" }));
  const connections = async () => (await server.transport.stats()).connections;
  await waitUntil("they wait", async () => (await connections()).length === 4);
  busy.send(message.query(subtransactions));
  await waitUntil("it runs", async () => (await connections()).some(({ state }) => state === "running"));
  sabotage();
  for (const client of [busy, ...waiting]) expect(outline(await client.untilEnd())).toContain("E(57P02)");
  const next = await server.login({ user: "other" });
  expect(rows(await next.query("select 'here'"))).toEqual([["here"]]);
  await waitUntil("nobody else is there", async () => (await connections()).length === 1);
  expect((await server.transport.stats()).activeConnections).toBe(1);
});
