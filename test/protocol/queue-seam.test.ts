/** The queue seam: a queue of the caller's own gets connections and batches, and decides what happens with them. */
import type { Batch, SocketConnection, SocketQueue } from "@electric-sql/pglite-socket";
import { PGLiteSocketServer } from "@electric-sql/pglite-socket";
import { afterEach, beforeEach, expect, test } from "vitest";
import { holdAnswers, sendHeldAnswers } from "../../src/transport/held-answers.ts";
import { encodeMessage } from "../../src/wire/frontend.ts";
import { waitUntil } from "../support/wait-until.ts";
import { errorFields, message, types, WireClient } from "../support/wire-client.ts";

const { query, parse, bind, execute, sync } = message;
const ready = encodeMessage("Z", Buffer.from("I"));

/** Answers each Query with its own text, by itself; remembers everything. */
class EchoQueue implements SocketQueue {
  readonly events: string[] = [];
  readonly batches: Batch[] = [];
  readonly connections: SocketConnection[] = [];
  /** Waited for by each batch. */
  gate: Promise<void> = Promise.resolve();
  /** Those that are in the middle of something. */
  readonly midway = new Set<SocketConnection>();
  length = 0;

  async open(): Promise<void> {
    this.events.push("open");
  }
  async attach(connection: SocketConnection): Promise<ReadonlyMap<string, string>> {
    this.connections.push(connection);
    this.events.push(`attach ${connection.parameters.get("application_name") ?? ""}`);
    return new Map([["server_version", "echo"]]);
  }
  async submit(connection: SocketConnection, batch: Batch): Promise<void> {
    this.batches.push(batch);
    this.length++;
    await this.gate;
    this.length--;
    for (const { type, bytes } of batch.frames) {
      if (type === 0x51) connection.send(Buffer.concat([encodeMessage("C", Buffer.from(bytes.subarray(5))), ready]));
      if (type === 0x53) connection.send(ready);
    }
  }
  isMidway(connection: SocketConnection): boolean {
    return this.midway.has(connection);
  }
  async detach(connection: SocketConnection): Promise<void> {
    this.events.push(`detach ${connection.parameters.get("application_name") ?? ""}`);
  }
  cancel(processId: number, secretKey: Uint8Array): void {
    this.events.push(`cancel ${processId} ${Buffer.from(secretKey).toString("hex")}`);
  }
  async close(): Promise<void> {
    this.events.push("close");
  }
}

let queue: EchoQueue;
let server: PGLiteSocketServer;

beforeEach(async () => {
  queue = new EchoQueue();
  server = new PGLiteSocketServer({
    // Nobody asks it anything: that is the queue's.
    db: {
      waitReady: Promise.resolve(),
      runExclusive: () => Promise.reject(new Error("the engine was used")),
      execProtocolRawStream: () => Promise.reject(new Error("the engine was used")),
    },
    port: 0,
    queue,
    stallTimeout: 200,
  });
  await server.start();
});
afterEach(() => server.stop());

const login = (name: string): Promise<WireClient> => WireClient.login(server, { application_name: name });

/** Has a client that is in the middle of something be silent until the stall timeout ends it. */
async function stallsOut(name: string): Promise<void> {
  const client = await login(name);
  queue.midway.add(queue.connections.at(-1)!);
  client.send(query("x"));
  expect(errorFields(await client.untilEnd())?.get("C")).toBe("57P05");
}

test("is opened before the first connection, told of each, and closed with the server", async () => {
  const a = await login("a");
  const b = await login("b");
  await a.end();
  await waitUntil("a is gone", () => queue.events.includes("detach a"));
  b.destroy();
  await waitUntil("b is gone", () => queue.events.includes("detach b"));
  const c = await login("c");
  await server.stop();
  expect(errorFields(await c.untilEnd())?.get("C")).toBe("57P01");
  expect(queue.events).toEqual([
    "open",
    "attach a",
    "attach b",
    "detach a",
    "detach b",
    "attach c",
    "detach c",
    "close",
  ]);
});

test("gets the complete frames of a data event as one batch, in order", async () => {
  const client = await login("a");
  const messages = [parse("", "select 1"), bind("", ""), execute(""), sync(), query("x")];
  client.send(...messages, query("half").subarray(0, 6));
  await client.until("Z", 2);
  expect(queue.batches).toHaveLength(1);
  expect(Buffer.from(queue.batches[0]!.bytes).equals(Buffer.concat(messages))).toBe(true);
  expect(queue.batches[0]!.frames.map(({ bytes }) => Buffer.from(bytes).toString("hex"))).toEqual(
    messages.map((one) => one.toString("hex")),
  );
  client.destroy();
});

test("answers through the connection, and its settings are those of the login", async () => {
  const client = await WireClient.connect(server);
  client.send(message.startup({ user: "postgres", database: "postgres" }), query("hello"));
  const messages = await client.until("Z", 2);
  expect(types(messages)).toBe("RSKZCZ");
  expect(messages[1]!.body.toString()).toBe("server_version\0echo\0");
  expect(messages[4]!.body.toString()).toBe("hello\0");
  client.destroy();
});

test("every connection has its own process id and key, and they are those that its client gets", async () => {
  const clients = await Promise.all(
    Array.from({ length: 5 }, async () => {
      const client = await WireClient.connect(server);
      client.send(message.startup({ user: "postgres", database: "postgres" }));
      return { client, key: (await client.until("Z")).find(({ type }) => type === "K")!.body };
    }),
  );
  const told = clients.map(({ key }) => `${key.readInt32BE(0)} ${key.toString("hex", 4)}`);
  expect(new Set(told).size).toBe(5);
  const known = queue.connections.map((one) => `${one.processId} ${Buffer.from(one.secretKey).toString("hex")}`);
  expect([...told].sort()).toEqual([...known].sort());
  for (const { key } of clients) expect(key.readInt32BE(0)).toBeGreaterThan(0);
  for (const { client } of clients) client.destroy();
});

test("hears of a CancelRequest, whoever sends it", async () => {
  const client = await WireClient.connect(server);
  client.send(message.cancelRequest(12, Buffer.from("0a0b0c0d", "hex")));
  expect(await client.untilEnd()).toEqual([]);
  const long = await WireClient.connect(server);
  long.send(message.cancelRequest(13, Buffer.alloc(32, 0xaa)));
  await long.untilEnd();
  expect(queue.events).toEqual(["open", "cancel 12 0a0b0c0d", `cancel 13 ${"aa".repeat(32)}`]);
});

test("may terminate a connection: its client is told, it is detached once, and what waited is not answered", async () => {
  let open!: () => void;
  queue.gate = new Promise((resolve) => {
    open = resolve;
  });
  const client = await login("a");
  client.send(query("x"));
  await waitUntil("it waits", () => queue.length === 1);
  const [connection] = queue.connections;
  for (let i = 0; i < 3; i++) connection!.terminate({ severity: "FATAL", code: "57014", message: "enough" });
  open();
  const messages = await client.untilEnd();
  expect(types(messages)).toBe("E");
  expect(errorFields(messages)?.get("C")).toBe("57014");
  await waitUntil("its place is free", () => server.getStats().activeConnections === 0);
  expect(queue.events.filter((event) => event === "detach a")).toHaveLength(1);
});

test("may hold answers until the loop has looked at all sockets: they leave together, and before any last word", async () => {
  const clients = [await login("a"), await login("b"), await login("c")];
  const [a, b, c] = queue.connections;
  const held = () => queue.connections.map((connection) => connection.socket.writableLength);
  const answer = () => {
    for (const connection of queue.connections) {
      holdAnswers(connection);
      connection.send(ready);
      holdAnswers(connection);
      connection.send(ready);
    }
  };
  answer();
  expect(held()).toEqual([12, 12, 12]);
  // It is asked for after the one that writes.
  await new Promise((resolve) => setImmediate(resolve));
  expect(held()).toEqual([0, 0, 0]);
  answer();
  sendHeldAnswers();
  expect(held()).toEqual([0, 0, 0]);
  for (const client of clients) expect(types(await client.until("Z", 4))).toBe("ZZZZ");

  answer();
  a!.terminate({ severity: "FATAL", code: "57014", message: "enough" });
  b!.finish();
  clients[2]!.destroy();
  expect(types(await clients[0]!.untilEnd())).toBe("ZZE");
  expect(types(await clients[1]!.untilEnd())).toBe("ZZ");
  await waitUntil("the last one has gone", () => queue.events.includes("detach c"));
  holdAnswers(c!);
  c!.send(ready);
  sendHeldAnswers();
});

test("says who is in the middle of something: only those are stalled out", async () => {
  const client = await login("a");
  client.send(query("x"));
  await client.until("Z");
  await stallsOut("b");
  await stallsOut("c");
  client.send(query("y"));
  expect(types(await client.until("Z"))).toBe("CZ");
  queue.midway.add(queue.connections[0]!);
  client.send(query("z"));
  expect(errorFields(await client.untilEnd())?.get("C")).toBe("57P05");
});

test("keeps a client waiting as long as it likes: no clock runs against who waits for it", async () => {
  let open!: () => void;
  queue.gate = new Promise((resolve) => {
    open = resolve;
  });
  const client = await login("a");
  queue.midway.add(queue.connections[0]!);
  client.send(query("x"), query("half").subarray(0, 6));
  await waitUntil("it waits", () => queue.length === 1);
  queue.gate = Promise.resolve();
  await stallsOut("b");
  await stallsOut("c");
  expect(client.ended).toBe(false);
  queue.midway.clear();
  open();
  await client.until("Z");
  client.destroy();
});

test("that fails to attach closes the connection with an error", async () => {
  queue.attach = () => Promise.reject(new Error("no place"));
  const client = await WireClient.connect(server);
  client.send(message.startup({ user: "postgres", database: "postgres" }));
  expect(errorFields(await client.untilEnd())?.get("C")).toBe("XX000");
});
