/**
 * Clients that do not read, or send faster than they are served: bounded memory, the others go on, nothing is lost.
 *
 * Memory is compared with the size of the answers, in this process, in which the clients hold nothing as they do not read.
 */
import type { PGlite } from "@electric-sql/pglite";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { ask } from "../support/answer.ts";
import { createEngine } from "../support/engines.ts";
import { memoryBelow, memoryInUse } from "../support/memory.ts";
import { startServer, type TestServer } from "../support/servers.ts";
import { waitUntil } from "../support/wait-until.ts";
import { message, rows, types, WireClient } from "../support/wire-client.ts";

const { query, parse, bind, execute, sync, flush } = message;
const mebibyte = 1024 * 1024;
const big = "select repeat('x', 1000000)";
const answerBytes = 1_000_000;
/** More than what the sockets of both ends take. */
const fullBytes = 20_000_000;

let engine: PGlite;
let server: TestServer;
let bystander: WireClient;
const clients: WireClient[] = [];
/** Batches that were given to the engine. */
let runs = 0;

beforeAll(async () => {
  engine = await createEngine();
  await engine.exec("create table t(n int)");
  const counted = {
    waitReady: engine.waitReady,
    runExclusive: engine.runExclusive.bind(engine),
    execProtocolRawStream: (...parameters: Parameters<PGlite["execProtocolRawStream"]>) => {
      runs++;
      return engine.execProtocolRawStream(...parameters);
    },
  };
  server = await startServer("ours", { db: counted as unknown as PGlite, stallTimeout: 60_000 });
  bystander = await WireClient.login(server);
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await waitUntil("only the bystander is connected", () => server.server.getStats().activeConnections === 1);
});
afterAll(async () => {
  await server.stop();
  await engine.close();
});

async function unreading(): Promise<WireClient> {
  const client = await WireClient.login(server);
  clients.push(client);
  client.socket.pause();
  return client;
}

/** Sends what is answered with more than a socket takes, in a data event of its own: the library runs what comes in one without a pause. */
async function isFull(client: WireClient, ...messages: readonly Uint8Array[]): Promise<void> {
  const before = runs;
  client.send(...messages);
  await waitUntil("it has run", () => runs > before);
  await settled();
}

const isServed = (): Promise<string> => ask(bystander, [query("select 'served'")]);

/** Resolves when the engine has had nothing to do for a while although others are served. */
async function settled(): Promise<void> {
  let before = -1;
  await waitUntil("nothing happens any more", async () => {
    const same = runs === before;
    await new Promise((resolve) => setTimeout(resolve, 50));
    before = runs;
    return same;
  });
}

/** The types without ParameterStatus, which the engine repeats when it likes. */
const kinds = (messages: Parameters<typeof types>[0]): string => types(messages).replaceAll("S", "");

async function readAll(client: WireClient, readies: number): Promise<string> {
  client.socket.resume();
  return kinds(await client.until("Z", readies));
}

test("pipelined queries with big answers wait for their reader", async () => {
  const count = 60;
  const client = await unreading();
  const before = memoryInUse();
  await isFull(client, query(`${big} || 0 || repeat('x', ${fullBytes})`));
  for (let i = 1; i < count; i++) client.send(query(`${big} || ${i}`));
  await settled();
  await memoryBelow(before, fullBytes + 0.5 * count * answerBytes);
  expect(await isServed()).toBe("served");
  client.socket.resume();
  const answer = await client.until("Z", count);
  expect(kinds(answer)).toBe("TDCZ".repeat(count));
  expect(rows(answer).map(([text]) => /\d+/.exec(text!)![0])).toEqual(Array.from({ length: count }, (_, i) => `${i}`));
});

test("big answers in one pipeline wait for their reader, and the others for its Sync", async () => {
  const count = 60;
  const client = await unreading();
  const before = memoryInUse();
  const first = parse("", `${big} || repeat('x', ${fullBytes})`);
  await isFull(client, first, bind("", ""), execute(""), parse("", big));
  for (let i = 1; i < count; i++) client.send(bind("", ""), execute(""));
  client.send(sync());
  await settled();
  await memoryBelow(before, fullBytes + 0.5 * count * answerBytes);
  const waiting = isServed();
  expect(await readAll(client, 1)).toBe(`12DC1${"2DC".repeat(count - 1)}Z`);
  expect(await waiting).toBe("served");
});

test("an answer that comes whole is kept until it is read, and the rest of the batch waits", async () => {
  const client = await unreading();
  client.send(query(`${big} from generate_series(1, 20)`), ...Array.from({ length: 60 }, () => query(big)));
  await settled();
  const before = runs;
  expect(await isServed()).toBe("served");
  expect(await isServed()).toBe("served");
  // Two of the bystander's, none of the other one's.
  expect(runs - before).toBe(2);
  expect(await readAll(client, 61)).toBe(`T${"D".repeat(20)}CZ${"TDCZ".repeat(60)}`);
});

test("one large answer waits for its reader, the others go on, and what is behind it comes behind it", async () => {
  const count = 100;
  const client = await unreading();
  client.send(query(`${big} from generate_series(1, ${count})`), query("select 'behind'"));
  await settled();
  expect(await isServed()).toBe("served");
  expect(await readAll(client, 2)).toBe(`T${"D".repeat(count)}CZTDCZ`);
});

test("a client that does not read in a transaction keeps it: nobody gets into its middle", async () => {
  const client = await unreading();
  const bigs = Array.from({ length: 60 }, () => query(big));
  client.send(query("begin"), query("insert into t values (1)"), ...bigs, query("rollback"));
  await settled();
  const waiting = ask(bystander, [query("select count(*) from t"), query("commit")]);
  const pipeline = ask(await WireClient.login(server).then((other) => (clients.push(other), other)), [
    parse("", "select count(*) from t"),
    bind("", ""),
    execute(""),
    sync(),
  ]);
  client.socket.resume();
  const answer = kinds(await client.until("Z", 63));
  expect(answer).toBe(`CZCZ${"TDCZ".repeat(60)}CZ`);
  expect([await waiting, await pipeline]).toEqual(["0", "0"]);
  // The bystander's COMMIT was one outside of a transaction.
  expect(kinds(await bystander.until("Z"))).toBe("NCZ");
});

test("a client that sends faster than it is served is not read any more", async () => {
  const blocker = await WireClient.login(server);
  clients.push(blocker);
  await blocker.query("begin");
  const sender = await WireClient.login(server);
  clients.push(sender);
  const total = 32 * mebibyte;
  const before = memoryInUse();
  const text = query(`select length('${"x".repeat(mebibyte)}')`);
  for (let sent = 0; sent < total; sent += text.length) sender.send(text);
  // What the server does not read stays in the sender's own socket.
  let unsent = 0;
  await waitUntil("the server has stopped reading", async () => {
    const last = unsent;
    await new Promise((resolve) => setTimeout(resolve, 50));
    unsent = sender.socket.writableLength;
    return unsent === last;
  });
  expect(unsent / total).toBeGreaterThan(0.7);
  await memoryBelow(before + unsent, 0.2 * total);
  await blocker.query("commit");
  expect(kinds(await sender.until("Z", 31))).toBe("TDCZ".repeat(31));
});

test("a slow reader gets all of it, also what came right before its Terminate", async () => {
  const client = await unreading();
  client.send(query(`${big} from generate_series(1, 30)`), message.terminate());
  await settled();
  // Longer than the server gives clients that it ends itself, and that do not read, either.
  for (let n = 0; n < 2; n++) {
    const others = server.server.getStats().activeConnections;
    const broken = await unreading();
    broken.send(Buffer.from("Q\0\0\0\0"));
    await waitUntil("it is closed", () => server.server.getStats().activeConnections === others);
  }
  client.socket.resume();
  expect(kinds(await client.untilEnd())).toBe(`T${"D".repeat(30)}CZ`);
});

test("a client that is killed with its answers unread leaves nothing behind", async () => {
  const before = memoryInUse();
  const client = await unreading();
  client.send(...Array.from({ length: 60 }, () => query(big)), parse("", big), bind("", ""), execute(""), flush());
  await settled();
  client.destroy();
  await waitUntil("it is gone", () => server.server.getStats().activeConnections === 1);
  expect(await isServed()).toBe("served");
  await memoryBelow(before, 0.15 * 60 * answerBytes);
});

test("clients that idle keep nothing of what they sent", async () => {
  const text = `select length('${"x".repeat(4 * mebibyte)}')`;
  const before = memoryInUse();
  const count = 10;
  const idle = await Promise.all(Array.from({ length: count }, () => WireClient.login(server)));
  clients.push(...idle);
  for (const client of idle) {
    await client.query(text);
    client.send(parse("", "select 1"), query(text));
    await client.until("Z");
  }
  await memoryBelow(before, 0.2 * count * text.length);
});
