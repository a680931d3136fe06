/** Stopping the server: it ends whatever the clients do, tells them, and leaves the engine alone afterwards. */
import type { PGlite } from "@electric-sql/pglite";
import { PGLiteSocketServer } from "@electric-sql/pglite-socket";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createEngine } from "../support/engines.ts";
import { waitUntil, within } from "../support/wait-until.ts";
import { WatchedEngine } from "../support/watched-engine.ts";
import { errorFields, message, rows, types, WireClient } from "../support/wire-client.ts";

const { query, parse, bind, execute, sync, flush, copyData } = message;
const startup = message.startup({ user: "postgres", database: "postgres" });

let pglite: PGlite;
let engine: WatchedEngine;
let server: PGLiteSocketServer;
const clients: WireClient[] = [];

beforeAll(async () => {
  pglite = await createEngine();
});
beforeEach(async () => {
  await pglite.exec("drop table if exists t; create table t(n int)");
  engine = new WatchedEngine(pglite);
  server = new PGLiteSocketServer({ db: engine, port: 0 });
  await server.start();
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await server.stop();
});
afterAll(() => pglite.close());

async function login(): Promise<WireClient> {
  const client = await WireClient.login(server);
  clients.push(client);
  return client;
}

async function connected(): Promise<WireClient> {
  const client = await WireClient.connect(server);
  clients.push(client);
  return client;
}

/** Ends of clients, and what they were told. */
async function lastWord(client: WireClient): Promise<string | undefined> {
  const error = errorFields(await client.untilEnd());
  return error && `${error.get("V")} ${error.get("C")}`;
}

/** Resolves with whether nothing ran in the engine while another server had it: what was on its way there has been before. */
async function isLeftAlone(): Promise<boolean> {
  const before = engine.runs;
  const other = new PGLiteSocketServer({ db: new WatchedEngine(pglite), port: 0 });
  await other.start();
  for (let n = 0; n < 3; n++) {
    const client = await WireClient.login(other);
    expect(rows(await client.query("select 1"))).toEqual([["1"]]);
    await client.end();
  }
  await other.stop();
  return engine.runs === before && engine.running === 0;
}

const states: Record<string, () => Promise<WireClient>> = {
  idle: login,
  "half logged in": async () => {
    const client = await connected();
    client.send(startup.subarray(0, 10));
    return client;
  },
  "connected and silent": connected,
  "behind its SSLRequest": async () => {
    const client = await connected();
    client.send(message.sslRequest());
    await client.bytes(1);
    return client;
  },
  "in half a message": async () => {
    const client = await login();
    client.send(query("select 1").subarray(0, 8));
    return client;
  },
  "in a pipeline": async () => {
    const client = await login();
    client.send(parse("", "insert into t values (1)"), bind("", ""), execute(""), flush());
    await client.until("C");
    return client;
  },
  "in a skipped pipeline": async () => {
    const client = await login();
    client.send(parse("", "selec"));
    await client.until("E");
    return client;
  },
  "in a transaction": async () => {
    const client = await login();
    await client.query("begin; insert into t values (1)");
    return client;
  },
  "in a COPY": async () => {
    const client = await login();
    client.send(query("copy t from stdin"));
    await client.until("G");
    client.send(copyData("1\n"));
    return client;
  },
};

describe("stop", () => {
  test.each(Object.entries(states))("tells a client that is %s, and undoes what it had open", async (_, reach) => {
    const client = await reach();
    await server.stop();
    expect(await lastWord(client)).toBe("FATAL 57P01");
    expect(await isLeftAlone()).toBe(true);
    // Whoever uses the database now is not in somebody's transaction, and finds nothing of it.
    const found = await pglite.query("select count(*)::int as n, pg_current_xact_id_if_assigned() as x from t");
    expect(found.rows).toEqual([{ n: 0, x: null }]);
  });

  test("ends with clients in every state at once", async () => {
    const all = [];
    // Those that keep the engine would wait for each other.
    for (const name of ["idle", "half logged in", "connected and silent", "in half a message", "in a COPY"]) {
      all.push(await states[name]!());
    }
    all.push(await states["in a transaction"]!());
    const queued = await login();
    queued.send(query("insert into t values (2)"));
    await waitUntil("it is queued", () => server.getStats().queuedQueries === 1);
    await server.stop();
    for (const client of [...all, queued]) expect(await lastWord(client)).toBe("FATAL 57P01");
    expect(await isLeftAlone()).toBe(true);
    expect((await pglite.query("select * from t")).rows).toEqual([]);
    await waitUntil("no place is taken", () => server.getStats().activeConnections === 0);
  });

  test("ends although a client does not read and does not close", async () => {
    const client = await login();
    client.socket.pause();
    client.send(query("select repeat('x', 1000000) from generate_series(1, 20)"));
    await waitUntil("the answer is on its way", () => engine.runs > 1 && engine.running === 0);
    await server.stop();
    await waitUntil("its place is free", () => server.getStats().activeConnections === 0);
  });

  test("waits for the run that is on, and lets nothing run after it", async () => {
    const client = await login();
    const release = await engine.hold();
    const before = engine.runs;
    client.send(query("insert into t values (1)"));
    await waitUntil("the first is on its way to the engine", () => engine.waiting === 1);
    client.send(query("insert into t values (2)"));
    await waitUntil("the second is queued", () => server.getStats().queuedQueries === 1);
    const stopped = server.stop();
    await waitUntil("the second is dropped", () => server.getStats().queuedQueries === 0);
    release();
    await stopped;
    expect(engine.running).toBe(0);
    expect(engine.runs - before).toBeLessThanOrEqual(3);
    expect(await isLeftAlone()).toBe(true);
    expect((await pglite.query("select * from t where n = 2")).rows).toEqual([]);
  });

  test("answers what has happened before it says so", async () => {
    const client = await login();
    const release = await engine.hold();
    client.send(query("insert into t values (1)"), query("insert into t values (2)"));
    await waitUntil("it is on its way to the engine", () => engine.waiting === 1);
    const stopped = server.stop();
    release();
    await stopped;
    const answer = await client.untilEnd();
    expect(types(answer).replace("S", "")).toMatch(/^(CZ){1,2}E$/);
    const answered = types(answer).split("C").length - 1;
    expect(await isLeftAlone()).toBe(true);
    expect((await pglite.query("select count(*)::int as n from t")).rows).toEqual([{ n: answered }]);
  });

  test("ends although somebody keeps the engine, and what waited for it never runs", async () => {
    const client = await login();
    const release = await engine.hold();
    client.send(query("insert into t values (1)"));
    await waitUntil("it is on its way to the engine", () => engine.waiting === 1);
    const before = engine.runs;
    expect(
      await within(
        20_000,
        server.stop().then(() => "stopped"),
      ),
    ).toBe("stopped");
    release();
    expect(await isLeftAlone()).toBe(true);
    expect(engine.runs).toBe(before);
    expect((await pglite.query("select * from t")).rows).toEqual([]);
  });

  test("that did not wait for the engine leaves nothing that the next start would run", async () => {
    const client = await login();
    const release = await engine.hold();
    client.send(query("insert into t values (1)"));
    await waitUntil("it is on its way to the engine", () => engine.waiting === 1);
    await server.stop();
    const started = server.start();
    await waitUntil("it waits for the engine behind what the old one left there", () => engine.waiting === 2);
    release();
    await started;
    expect(rows(await (await login()).query("select count(*) from t"))).toEqual([["0"]]);
  });

  test("rolls back although the holder's query was on its way", async () => {
    const holder = await login();
    const other = await login();
    await holder.query("begin; insert into t values (1)");
    const release = await engine.hold();
    holder.send(query("insert into t values (2)"));
    other.send(query("insert into t values (3)"));
    await waitUntil("both are said", () => engine.waiting === 1 && server.getStats().queuedQueries === 1);
    const stopped = server.stop();
    release();
    await stopped;
    const found = await pglite.query("select n, pg_current_xact_id_if_assigned() as x from t");
    expect(found.rows).toEqual([]);
    expect((await pglite.query("select pg_current_xact_id_if_assigned() as x")).rows).toEqual([{ x: null }]);
  });

  test("is shared by those who call it at the same time, and does nothing when called again", async () => {
    await login();
    const [first, second] = [server.stop(), server.stop()];
    await Promise.all([first, second]);
    expect(await isLeftAlone()).toBe(true);
    await server.stop();
    expect(await isLeftAlone()).toBe(true);
    await expect(WireClient.connect(server)).rejects.toThrow(/ECONNREFUSED/);
  });

  test("does nothing before a start", async () => {
    const fresh = new PGLiteSocketServer({ db: engine, port: 0 });
    await fresh.stop();
    expect(await isLeftAlone()).toBe(true);
  });

  test("can be followed by a start, as often as one likes", async () => {
    for (let round = 0; round < 3; round++) {
      const client = await login();
      client.send(parse("s", "select $1::text"), query("begin; insert into t values (1)"));
      await client.until("Z");
      const copying = await login();
      copying.send(query("select 'never answered'"));
      await server.stop();
      expect(await lastWord(client)).toBe("FATAL 57P01");
      await server.start();
    }
    const client = await login();
    client.send(parse("s", "select count(*) from t"), bind("", "s"), execute(""), sync());
    expect(rows(await client.until("Z"))).toEqual([["0"]]);
  });

  test("takes a client's last statement with it, and the next start is not held up by it", async () => {
    const holder = await login();
    await holder.query("begin");
    const release = await engine.hold();
    // Its socket is gone, its last words are not.
    holder.send(query("insert into t values (1)"), message.terminate());
    await waitUntil("it is said", () => engine.waiting === 1);
    holder.destroy();
    await waitUntil("it is gone", () => server.getStats().activeConnections === 0);
    const stopped = server.stop();
    release();
    await stopped;
    await server.start();
    const client = await login();
    expect(types((await within(5_000, client.query("select count(*) from t"))) ?? [])).toBe("TDCZ");
  });

  test("refuses whoever comes while it is on", async () => {
    const release = await engine.hold();
    const client = await login();
    client.send(query("select 1"));
    await waitUntil("it is on its way to the engine", () => engine.waiting === 1);
    const { port } = server;
    const stopped = server.stop();
    await expect(WireClient.connect({ port }).then((late) => late.untilEnd())).rejects.toThrow(/ECONNREFUSED/);
    release();
    await stopped;
  });
});
