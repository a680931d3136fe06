/**
 * The library's handler by itself: a socket is attached, served, and let go, and who listens is told.
 *
 * Owns: what upstream documents of `PGLiteSocketHandler`, on real sockets. Does not own: what a client gets (`default-queue.test.ts`).
 */
import { EventEmitter, once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import type { PGlite } from "@electric-sql/pglite";
import { PGLiteSocketHandler, type PGLiteSocketHandlerOptions, PGLiteSocketServer } from "@electric-sql/pglite-socket";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { readErrorFields } from "../../src/wire/query-results.ts";
import { ask } from "../support/answer.ts";
import { createEngine } from "../support/engines.ts";
import { waitUntil } from "../support/wait-until.ts";
import { errorFields, message, types, WireClient } from "../support/wire-client.ts";

const { query } = message;
const startup = message.startup({ user: "anybody", database: "anything" });

let engine: PGlite;
let listener: Server;
const clients: WireClient[] = [];

beforeAll(async () => {
  engine = await createEngine();
  await engine.exec("create table kept (value int)");
});
beforeEach(async () => {
  listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await new Promise((resolve) => listener.close(resolve));
});
afterAll(() => engine?.close());

/** A client, and the socket of it that a handler can have. */
async function pair(): Promise<{ client: WireClient; socket: Socket }> {
  const accepted = once(listener, "connection");
  const client = await WireClient.connect(listener.address() as { port: number });
  clients.push(client);
  const [socket] = (await accepted) as [Socket];
  return { client, socket };
}

/** A handler over the engine, and what it has told. */
function handlerOf(options: PGLiteSocketHandlerOptions = { db: engine }) {
  const handler = new PGLiteSocketHandler(options);
  const events: string[] = [];
  const data: { incoming: number; outgoing: number }[] = [];
  handler.addEventListener("data", (event) => void data.push((event as CustomEvent).detail));
  handler.addEventListener(
    "error",
    (event) => void events.push(`error: ${(event as CustomEvent<Error>).detail.message}`),
  );
  handler.addEventListener("close", () => void events.push("close"));
  return { handler, events, data };
}

async function logIn(client: WireClient): Promise<void> {
  client.send(startup);
  await client.until("Z");
}

test("a handler over a database serves its socket, any user, any name, and can have one after the other", async () => {
  const { handler, events } = handlerOf();
  for (let round = 0; round < 2; round++) {
    const { client, socket } = await pair();
    expect(handler.isAttached).toBe(false);
    expect(await handler.attach(socket)).toBe(handler);
    expect(handler.isAttached).toBe(true);
    await logIn(client);
    expect(await ask(client, [query("select 'served'")])).toBe("served");
    await client.end();
    await waitUntil("the handler is free", () => !handler.isAttached);
  }
  expect(events).toEqual(["close", "close"]);
});

test("a second socket is refused, and the first one is served on", async () => {
  const { handler } = handlerOf();
  const [first, second] = [await pair(), await pair()];
  await handler.attach(first.socket);
  await expect(handler.attach(second.socket)).rejects.toThrow("Socket already attached");
  await logIn(first.client);
  expect(await ask(first.client, [query("select 1")])).toBe("1");
});

test("a socket that is gone when it is attached is let go at once", async () => {
  const { handler, events } = handlerOf();
  const { socket } = await pair();
  socket.destroy();
  await once(socket, "close");
  await handler.attach(socket);
  await waitUntil("the handler is free", () => !handler.isAttached);
  expect(events).toEqual(["close"]);
});

test("who detaches it has the socket back, open and silent, and what its client had open is undone", async () => {
  const { handler, events } = handlerOf();
  const { client, socket } = await pair();
  await handler.attach(socket);
  await logIn(client);
  client.send(query("begin; insert into kept values (1)"));
  await client.until("Z");
  await handler.detach();
  expect(handler.isAttached).toBe(false);
  expect((await engine.query("select * from kept")).rows).toEqual([]);
  client.send(query("select 1"));
  const [bytes] = (await once(socket, "data")) as [Buffer];
  expect(bytes.equals(query("select 1"))).toBe(true);
  expect(client.unread).toEqual([]);
  expect(client.ended).toBe(false);
  // Again is nothing.
  await handler.detach(true);
  expect(socket.destroyed).toBe(false);
  expect(events).toEqual([]);
  socket.destroy();
});

/** What upstream's own tests give a handler for a socket: an emitter that can be written to, and nothing of a stream's flow. */
function socketWithoutPause() {
  const written: Buffer[] = [];
  const calls: string[] = [];
  const socket = Object.assign(new EventEmitter(), {
    writable: true,
    remoteAddress: "127.0.0.1",
    remotePort: 12345,
    setNoDelay: () => {},
    write: (bytes: Uint8Array) => written.push(Buffer.from(bytes)),
    end: () => calls.push("end"),
    destroy: () => calls.push("destroy"),
  });
  return { socket: socket as unknown as Socket, written, calls };
}

test("a socket without `pause` is attached, listened to and let go, closed or not", async () => {
  const { handler, events } = handlerOf();
  const { socket, calls } = socketWithoutPause();
  for (const close of [false, true]) {
    await handler.attach(socket);
    expect(handler.isAttached).toBe(true);
    for (const event of ["data", "error", "close"]) expect(socket.listenerCount(event)).toBeGreaterThan(0);
    await expect(handler.attach(socketWithoutPause().socket)).rejects.toThrow("Socket already attached");
    expect(calls).toEqual([]);
    await handler.detach(close);
    expect(handler.isAttached).toBe(false);
    if (!close) expect(socket.listenerCount("data")).toBe(0);
  }
  expect(calls).toContain("end");
  expect(events).toEqual([]);
});

test("a server counts a socket without `pause`, and tells it that it stops", async () => {
  const server = new PGLiteSocketServer({ db: engine, port: 0 });
  const connections: unknown[] = [];
  server.addEventListener("connection", (event) => void connections.push((event as CustomEvent).detail));
  await server.start();
  const { socket, written, calls } = socketWithoutPause();
  await server.handleConnection(socket);
  expect(connections).toEqual([{ clientAddress: "127.0.0.1", clientPort: 12345 }]);
  expect(server.getStats().activeConnections).toBe(1);
  await server.stop();
  expect(readErrorFields(written.at(-1)!.subarray(5)).get("C")).toBe("57P01");
  expect(calls).toContain("end");
  expect(server.getStats().activeConnections).toBe(0);
});

test.each([
  ["closeOnDetach", { closeOnDetach: true }, undefined],
  ["detach(true)", {}, true],
])("%s closes the socket, with the answers that were sent before", async (_, options, close) => {
  const { handler, events } = handlerOf({ db: engine, ...options });
  const { client, socket } = await pair();
  await handler.attach(socket);
  await logIn(client);
  client.send(query("select 1"));
  await client.until("Z");
  client.send(query("begin; insert into kept values (2)"));
  await waitUntil("it runs in its transaction", () => client.unread.length > 0);
  await handler.detach(close);
  expect(types(await client.untilEnd())).toMatch(/Z$/);
  await waitUntil("the socket is closed", () => socket.destroyed);
  expect((await engine.query("select * from kept")).rows).toEqual([]);
  expect(events).toEqual([]);
});

test("tells how many bytes came and went", async () => {
  const { handler, data } = handlerOf();
  const { client, socket } = await pair();
  await handler.attach(socket);
  await logIn(client);
  const received: Buffer[] = [];
  client.socket.on("data", (chunk: Buffer) => received.push(chunk));
  const sent = [query("select 1"), query("select repeat('x', 10000)"), query("selec")];
  for (const one of sent) {
    client.send(one);
    await client.until("Z");
  }
  await waitUntil("all is told", () => data.length === 3);
  expect(data.map(({ incoming }) => incoming)).toEqual(sent.map(({ length }) => length));
  expect(data.reduce((sum, { outgoing }) => sum + outgoing, 0)).toBe(Buffer.concat(received).length);
});

test("tells what ends a connection, before it is closed: bytes that are no message, a reset, idleness", async () => {
  const garbage = handlerOf();
  const { client, socket } = await pair();
  await garbage.handler.attach(socket);
  client.send(Buffer.from("GET / HTTP/1.1\r\n\r\n"));
  await client.untilEnd();
  await waitUntil("it is closed", () => garbage.events.length === 2);
  expect(garbage.events).toEqual([expect.stringMatching(/^error: invalid length of startup packet/), "close"]);

  const reset = handlerOf();
  const second = await pair();
  await reset.handler.attach(second.socket);
  await logIn(second.client);
  second.client.socket.resetAndDestroy();
  await waitUntil("it is closed", () => reset.events.length === 2);
  expect(reset.events).toEqual([expect.stringMatching(/ECONNRESET/), "close"]);

  const idle = handlerOf({ db: engine, idleTimeout: 50 });
  const third = await pair();
  await idle.handler.attach(third.socket);
  await logIn(third.client);
  expect(errorFields(await third.client.untilEnd())?.get("C")).toBe("57P05");
  await waitUntil("it is closed", () => idle.events.length === 2);
  expect(idle.events).toEqual([expect.stringMatching(/idle-session timeout/), "close"]);
});

test("a client that says nothing at all is idle: it is closed without a word, one that speaks is not", async () => {
  const { handler, events } = handlerOf({ db: engine, idleTimeout: 100 });
  const silent = await pair();
  // It does not read, either: an error would keep its side open.
  silent.client.socket.removeAllListeners("data");
  await handler.attach(silent.socket);
  await waitUntil("it is closed", () => events.length === 2);
  expect(events).toEqual(["error: Idle timeout", "close"]);

  const slow = await pair();
  await handler.attach(slow.socket);
  slow.client.send(startup.subarray(0, 3));
  for (let n = 0; n < 2; n++) {
    const other = handlerOf({ db: engine, idleTimeout: 100 });
    const another = await pair();
    await other.handler.attach(another.socket);
    await waitUntil("one that says nothing is closed meanwhile", () => other.events.length === 2);
  }
  expect(slow.client.ended).toBe(false);
  slow.client.send(startup.subarray(3));
  await slow.client.until("Z");
});

test("handlers need somebody who says who runs", () => {
  expect(() => new PGLiteSocketHandler({})).toThrow(TypeError);
});

test("a server takes sockets that somebody else has accepted, counts them, and says what ended them", async () => {
  const server = new PGLiteSocketServer({ db: engine, port: 0, maxConnections: 1 });
  const told: { handlerId: number; error: Error & { code: string } }[] = [];
  server.addEventListener("connectionError", (event) => void told.push((event as CustomEvent).detail));
  const early = await pair();
  await server.handleConnection(early.socket);
  expect(early.socket.destroyed).toBe(true);
  await server.start();
  const { client, socket } = await pair();
  await server.handleConnection(socket);
  expect(server.getStats()).toMatchObject({ activeConnections: 1, maxConnections: 1 });
  await logIn(client);
  const refused = await WireClient.connect(server);
  clients.push(refused);
  refused.send(startup);
  expect(errorFields(await refused.untilEnd())?.get("C")).toBe("53300");
  await server.stop();
  expect(errorFields(await client.untilEnd())?.get("C")).toBe("57P01");
  expect(told.map(({ error }) => error.code)).toEqual(["53300", "57P01"]);
  expect(new Set(told.map(({ handlerId }) => handlerId)).size).toBe(2);
  expect(server.getStats().activeConnections).toBe(0);
});
