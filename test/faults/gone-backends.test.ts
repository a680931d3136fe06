/**
 * Clients that go while a statement of somebody else computes: what they leave behind takes nobody's place.
 *
 * Does not own: what their own statements leave behind (`../concurrency/disconnect.test.ts`).
 */
import { expect, test } from "vitest";
import { answer, servedDb } from "../support/dev-db.ts";
import { waitUntil } from "../support/wait-until.ts";
import { message, rows } from "../support/wire-client.ts";

const served = servedDb({ sessions: "isolated", maxConnections: 5 });
const connections = async () => (await served.db.stats()).connections;

test("forty reconnects during a long statement leave room for the next client, and nobody in pg_stat_activity", async () => {
  const stays = await served.login();
  await stays.query("select 1");
  const busy = await served.keyed();
  busy.client.send(message.query("select count(*) from generate_series(1, 2000000000)"));
  await waitUntil("it runs", async () => (await connections()).some(({ state }) => state === "running"));
  for (let reconnect = 0; reconnect < 40; reconnect++) {
    const { client, pid } = await served.keyed();
    client.send(message.query("select 'never read'"));
    client.destroy();
    await waitUntil("it is gone", async () => (await connections()).every(({ processId }) => processId !== pid));
  }
  const next = await served.login();
  next.send(message.query("select 'here'"));
  await served.cancel(busy);
  expect([await answer(busy.client), await answer(next)]).toEqual(["57014", "here"]);
  const backends = "select count(*) from pg_stat_activity where backend_type = 'client backend'";
  await waitUntil("only those are there that stay", async () => rows(await next.query(backends))[0]?.[0] === "3");
  expect(await connections()).toHaveLength(3);
});
