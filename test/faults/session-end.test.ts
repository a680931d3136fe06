/**
 * What a client leaves behind in the session of all when it goes: no transaction, no pipeline, no COPY, no statement of its own, however
 * it goes. Settings, temporary tables and the like stay: they are the session's.
 */
import type { PGlite } from "@electric-sql/pglite";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ask, hear } from "../support/answer.ts";
import { createEngine } from "../support/engines.ts";
import { startServer, type TestServer } from "../support/servers.ts";
import { waitUntil } from "../support/wait-until.ts";
import { message, WireClient } from "../support/wire-client.ts";

const { query, parse, bind, execute, sync, flush, copyData, close } = message;

let engine: PGlite;
let server: TestServer;
const clients: WireClient[] = [];

beforeAll(async () => {
  engine = await createEngine();
});
beforeEach(async () => {
  // One case that fails must not be the failure of the next ones.
  for (const sql of ["rollback", "set session authorization postgres", "discard all"]) await engine.exec(sql);
  await engine.exec("drop table if exists t; create table t(n int)");
  server = await startServer("ours", { db: engine, stallTimeout: 500 });
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await server.stop();
});
afterAll(() => engine.close());

async function login(): Promise<WireClient> {
  const client = await WireClient.login(server);
  clients.push(client);
  return client;
}

const tell = (client: WireClient, sql: string): Promise<string> => ask(client, [query(sql)]);

/** Ways to go. */
const exits: Record<string, (client: WireClient) => Promise<unknown>> = {
  "its Terminate": (client) => client.end(),
  "a killed socket": async (client) => client.destroy(),
  "a reset": async (client) => client.socket.resetAndDestroy(),
  "a violation": async (client) => {
    client.send(Buffer.from("garbage"));
    await client.untilEnd();
  },
};

async function leave(client: WireClient, how: string): Promise<void> {
  const others = server.server.getStats().activeConnections - 1;
  await exits[how]!(client);
  await waitUntil("it is gone", () => server.server.getStats().activeConnections === others);
}

/** What a session can hold: how it is made, and how the next client would notice. */
const holdings: [name: string, make: string[], look: string, nothing: string][] = [
  ["a transaction", ["begin", "insert into t values (1)"], "select count(*) from t", "0"],
  ["a failed transaction", ["begin", "insert into t values (1)", "selec"], "select count(*) from t", "0"],
];

describe.each(Object.keys(exits))("a client that goes by %s", (how) => {
  test.each(holdings)("leaves nothing of %s", async (_, make, look, nothing) => {
    const client = await login();
    for (const sql of make) await client.query(sql);
    await leave(client, how);
    expect(await tell(await login(), look)).toBe(nothing);
  });

  test("leaves no pipeline, and nothing of what was done in it", async () => {
    const client = await login();
    client.send(parse("s", "insert into t values (1)"), bind("", "s"), execute(""), flush());
    await client.until("C");
    await leave(client, how);
    const next = await login();
    expect(await tell(next, "select count(*) from t")).toBe("0");
    expect(await tell(next, "select count(*) from pg_prepared_statements")).toBe("0");
  });

  test("leaves no pipeline that is skipped", async () => {
    const client = await login();
    client.send(parse("", "selec"), parse("", "select 1"));
    await client.until("E");
    await leave(client, how);
    expect(await tell(await login(), "select 'served'")).toBe("served");
  });

  test("leaves no COPY", async () => {
    const client = await login();
    client.send(query("copy t from stdin"));
    await client.until("G");
    client.send(copyData("1\n"));
    await leave(client, how);
    expect(await tell(await login(), "select count(*) from t")).toBe("0");
  });
});

describe("while others are connected", () => {
  test("a transaction is rolled back and the next in the queue goes on", async () => {
    const client = await login();
    const other = await login();
    await client.query("begin; insert into t values (1)");
    other.send(query("insert into t values (2)"), query("select n from t"));
    await waitUntil("the other one waits", () => server.server.getStats().queuedQueries === 1);
    client.destroy();
    expect([await hear(other), await hear(other)]).toEqual(["INSERT 0 1", "2"]);
  });

  test("an abandoned pipeline is undone and the next in the queue goes on", async () => {
    const client = await login();
    const other = await login();
    client.send(parse("", "insert into t values (1)"), bind("", ""), execute(""), flush());
    await client.until("C");
    other.send(query("select count(*) from t"));
    await waitUntil("the other one waits", () => server.server.getStats().queuedQueries === 1);
    client.destroy();
    expect(await hear(other)).toBe("0");
  });

  test("a pipeline that is stalled out is undone, too", async () => {
    const client = await login();
    const other = await login();
    client.send(parse("", "insert into t values (1)"), bind("", ""), execute(""), flush());
    expect(await tell(other, "select count(*) from t")).toBe("0");
    expect((await client.untilEnd()).some(({ type, body }) => type === "E" && body.includes("57P05"))).toBe(true);
  });

  test("what waits of a client that goes is not run", async () => {
    const holder = await login();
    const client = await login();
    await holder.query("begin");
    client.send(query("insert into t values (1)"));
    await waitUntil("it waits", () => server.server.getStats().queuedQueries === 1);
    client.destroy();
    await waitUntil("it is gone", () => server.server.getStats().queuedQueries === 0);
    await holder.query("commit");
    expect(await tell(holder, "select count(*) from t")).toBe("0");
  });

  test("what a client said before its Terminate is run, as in PostgreSQL", async () => {
    const holder = await login();
    const client = await login();
    await holder.query("begin");
    client.send(query("insert into t values (1)"), message.terminate());
    await waitUntil("it waits", () => server.server.getStats().queuedQueries === 1);
    await holder.query("commit");
    expect((await client.untilEnd()).map(({ type }) => type).join("")).toBe("CZ");
    expect(await tell(holder, "select count(*) from t")).toBe("1");
  });

  test("its prepared statements go, those of the others stay", async () => {
    const client = await login();
    const other = await login();
    for (const one of [client, other]) {
      one.send(parse("s", "select 'mine'"), sync());
      await one.until("Z");
    }
    await leave(client, "a killed socket");
    expect(await tell(other, "select count(*) from pg_prepared_statements")).toBe("1");
    expect(await ask(other, [bind("", "s"), execute(""), sync()])).toBe("mine");
    expect(await ask(other, [close("S", "s"), sync()])).toBe("");
    expect(await tell(other, "select count(*) from pg_prepared_statements")).toBe("0");
  });
});

test("a hundred clients that come, leave something and go, leave nothing together", async () => {
  for (let round = 0; round < 100; round++) {
    const client = await WireClient.login(server);
    client.send(parse("s", "select 1"), query(`begin; create table tt${round}(n int); insert into t values (1)`));
    if (round % 2) await client.until("Z");
    client.destroy();
  }
  await waitUntil("all are gone", () => server.server.getStats().activeConnections === 0);
  const next = await login();
  expect(await tell(next, "select count(*) from t")).toBe("0");
  expect(await tell(next, "select count(*) from pg_class where relname like 'tt%'")).toBe("0");
  expect(await tell(next, "select count(*) from pg_prepared_statements")).toBe("0");
});
