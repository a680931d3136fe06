/** maxConnections: who is refused and how, and that a place is freed exactly once. */
import { connect, type Socket } from "node:net";
import type { PGlite } from "@electric-sql/pglite";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { ask } from "../support/answer.ts";
import { createEngine } from "../support/engines.ts";
import { Random, runSeed } from "../support/random.ts";
import { startServer, type TestServer } from "../support/servers.ts";
import { waitUntil } from "../support/wait-until.ts";
import { errorFields, message, types, WireClient } from "../support/wire-client.ts";

const { query, parse, bind, execute, sync, flush, copyData } = message;
const maxConnections = 3;
const startup = message.startup({ user: "postgres", database: "postgres" });

let engine: PGlite;
let server: TestServer;
const clients: WireClient[] = [];
const sockets: Socket[] = [];

beforeAll(async () => {
  engine = await createEngine();
  await engine.exec("create table t(n int)");
});
beforeEach(async () => {
  server = await startServer("ours", { db: engine, maxConnections, stallTimeout: 2_000 });
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  for (const socket of sockets.splice(0)) socket.destroy();
  await server.stop();
});
afterAll(() => engine.close());

const active = (): number => server.server.getStats().activeConnections;

async function fill(): Promise<void> {
  for (let i = 0; i < maxConnections; i++) clients.push(await WireClient.login(server));
}

async function connected(): Promise<WireClient> {
  const client = await WireClient.connect(server);
  clients.push(client);
  return client;
}

/** What is left of a refused connection: one well-formed error and the end. */
async function expectRefusal(client: WireClient): Promise<void> {
  const messages = await client.untilEnd();
  expect(types(messages)).toBe("E");
  expect(Object.fromEntries(errorFields(messages)!)).toMatchObject({
    S: "FATAL",
    V: "FATAL",
    C: "53300",
    M: "sorry, too many clients already",
    D: expect.stringContaining(`${maxConnections}`),
  });
  expect(client.socketError).toBeUndefined();
}

test("one client too many gets a well-formed 53300 when it logs in", async () => {
  await fill();
  const client = await connected();
  client.send(startup);
  await expectRefusal(client);
});

test("one too many gets it after an SSLRequest and a GSSENCRequest, too", async () => {
  await fill();
  const client = await connected();
  client.send(message.sslRequest());
  expect(await client.bytes(1)).toEqual(Buffer.from("N"));
  client.send(message.gssencRequest());
  expect(await client.bytes(1)).toEqual(Buffer.from("N"));
  client.send(startup);
  await expectRefusal(client);
});

test("one too many gets it unasked when it says nothing, nothing more, or not all", async () => {
  await fill();
  const silent = await connected();
  const half = await connected();
  half.send(startup.subarray(0, 10));
  const asked = await connected();
  asked.send(message.sslRequest());
  expect(await asked.bytes(1)).toEqual(Buffer.from("N"));
  await Promise.all([silent, half, asked].map(expectRefusal));
});

test("one too many may cancel", async () => {
  await fill();
  const client = await connected();
  client.send(message.cancelRequest(1, Buffer.alloc(4)));
  expect(await client.untilEnd()).toEqual([]);
});

test("many too many at once all get it, and nobody who was there notices", async () => {
  await fill();
  const refused = await Promise.all(Array.from({ length: 50 }, connected));
  for (const client of refused) client.send(startup);
  await Promise.all(refused.map(expectRefusal));
  for (const client of clients.slice(0, maxConnections)) expect(await ask(client, [query("select 1")])).toBe("1");
  expect(active()).toBe(maxConnections);
});

test("a place is free again when a client leaves, and not before", async () => {
  await fill();
  await clients[0]!.end();
  await waitUntil("a place is free", () => active() < maxConnections);
  const next = await WireClient.login(server);
  clients.push(next);
  expect(await ask(next, [query("select 1")])).toBe("1");
  const tooMany = await connected();
  tooMany.send(startup);
  await expectRefusal(tooMany);
});

test("a client that sends a CancelRequest and does not close frees its place", async () => {
  const socket = connect({ port: server.port, host: server.host, allowHalfOpen: true });
  sockets.push(socket);
  socket.on("error", () => {});
  socket.resume();
  socket.write(message.cancelRequest(1, Buffer.alloc(4)));
  await waitUntil("it is connected", () => active() === 1);
  await waitUntil("its place is free", () => active() === 0);
});

test("a client that ends in an error and does not close frees its place", async () => {
  for (const said of [Buffer.from("GET / HTTP/1.1\r\n\r\n"), Buffer.concat([startup, Buffer.from("garbage")])]) {
    const socket = connect({ port: server.port, host: server.host, allowHalfOpen: true });
    sockets.push(socket);
    socket.on("error", () => {});
    // It does not read either.
    socket.write(said);
    await waitUntil("it is connected", () => active() === 1);
    await waitUntil("its place is free", () => active() === 0);
  }
});

/** The states in which a client can be killed: what it sends, and what it waits for before that. */
const states: Record<string, (client: WireClient) => Promise<unknown> | undefined> = {
  "before a word": () => undefined,
  "in its startup message": (client) => void client.send(startup.subarray(0, 9)),
  "behind an SSLRequest": (client) => void client.send(message.sslRequest()),
  "while it is logged in": (client) => void client.send(startup),
  idle: (client) => (client.send(startup), client.until("Z")),
  "in a query": (client) => (client.send(startup), client.until("Z").then(() => client.send(query("select 1")))),
  "in half a message": (client) => (client.send(startup, Buffer.from("Q\0")), client.until("Z")),
  "in a pipeline": (client) => (client.send(startup, parse("", "select 1"), bind("", ""), flush()), client.until("2")),
  "in a failed pipeline": (client) => (client.send(startup, parse("", "selec")), client.until("E")),
  "in a transaction": (client) => (client.send(startup, query("begin; lock table t")), client.until("Z", 2)),
  "in a failed transaction": (client) => (client.send(startup, query("begin"), query("selec")), client.until("Z", 3)),
  "in a COPY": (client) => (client.send(startup, query("copy t from stdin"), copyData("1\n")), client.until("G")),
  "behind its Terminate": (client) => (client.send(startup, query("select 1"), message.terminate()), client.until("Z")),
  "with an answer unread": (client) => {
    client.socket.pause();
    client.send(startup, query("select repeat('x', 1000000) from generate_series(1, 10)"));
    return new Promise((resolve) => setTimeout(resolve, 20));
  },
  "with queries waiting": (client) => void client.send(startup, ...Array.from({ length: 50 }, () => query("select 1"))),
  "behind a violation": (client) => void client.send(startup, Buffer.from("garbage")),
};

test(`however clients are killed, every place is freed exactly once (SEED=${runSeed})`, async () => {
  const random = new Random(runSeed);
  const reached = new Set<string>();
  for (let round = 0; round < 150; round++) {
    const name = random.of(Object.keys(states));
    await waitUntil("there is a place", () => active() < maxConnections);
    const client = await WireClient.connect(server);
    await states[name]!(client);
    reached.add(name);
    if (random.oneIn(2)) client.destroy();
    else client.socket.resetAndDestroy();
    expect(active(), name).toBeLessThanOrEqual(maxConnections);
    expect(active(), name).toBeGreaterThanOrEqual(0);
  }
  await waitUntil("all places are free", () => active() === 0);
  expect(reached.size).toBe(Object.keys(states).length);
  // The full number fits, and not one more.
  await fill();
  for (const client of clients) expect(await ask(client, [query("select count(*) from t")])).toBe("0");
  const tooMany = await connected();
  tooMany.send(startup, sync(), execute(""));
  await expectRefusal(tooMany);
});
