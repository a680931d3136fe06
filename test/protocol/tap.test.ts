/** The tap: it sees every byte of both directions, once, in order: a call for each data event and for each write. */
import type { PGlite } from "@electric-sql/pglite";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { createLogin } from "../../src/transport/login.ts";
import { MessageReader } from "../../src/wire/message-reader.ts";
import { createEngine } from "../support/engines.ts";
import { startServer, type TestServer } from "../support/servers.ts";
import { waitUntil } from "../support/wait-until.ts";
import { message, WireClient } from "../support/wire-client.ts";
import { describeMessage } from "../support/wire-trace.ts";

const { query, parse, bind, execute, sync, copyData, copyDone } = message;

let engine: PGlite;
let server: TestServer;
let seen: { id: number; source: string; bytes: Buffer }[] = [];

beforeAll(async () => {
  engine = await createEngine();
  await engine.exec("create table t(n int)");
});
beforeEach(async () => {
  seen = [];
  server = await startServer("ours", {
    db: engine,
    maxConnections: 2,
    login: createLogin({ databases: ["postgres"], secret: undefined, tls: undefined }),
    // Copied: the bytes belong to whoever sends them on.
    tap: (id, source, bytes) => void seen.push({ id, source, bytes: Buffer.from(bytes ?? []) }),
  });
});
afterEach(() => server.stop());
afterAll(() => engine.close());

const frontend = (id?: number): Buffer[] =>
  seen.filter((one) => one.source === "frontend" && (id === undefined || one.id === id)).map(({ bytes }) => bytes);
const backend = (id?: number): Buffer[] =>
  seen.filter((one) => one.source === "backend" && (id === undefined || one.id === id)).map(({ bytes }) => bytes);
const hex = (messages: readonly Buffer[]): string[] => messages.map((one) => one.toString("hex"));
const startup = message.startup({ user: "postgres", database: "postgres" });

/** Everything that a socket receives. */
function record(client: WireClient): Buffer[] {
  const chunks: Buffer[] = [];
  client.socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  return chunks;
}

test("sees what the client said and got, byte by byte the same", async () => {
  const client = await WireClient.connect(server);
  const received = record(client);
  const said = [
    message.sslRequest(),
    startup,
    query("select repeat('x', 300000)"),
    parse("s", "select $1::text"),
    bind("", "s", ["y"]),
    execute(""),
    sync(),
    query("copy t from stdin"),
    copyData("1\n"),
    copyDone(),
    query("copy t to stdout"),
    query("selec"),
    parse("", "selec"),
    sync(),
    query("select 1"),
  ];
  client.send(said[0]!);
  await client.bytes(1);
  // Cut in odd places: the tap sees what came, not messages.
  const rest = Buffer.concat(said.slice(1));
  for (let at = 0; at < rest.length; at += 17) {
    client.send(rest.subarray(at, at + 17));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await client.until("Z", 8);
  client.send(message.terminate());
  await client.untilEnd();
  expect(Buffer.concat(frontend()).toString("hex")).toBe(Buffer.concat([...said, message.terminate()]).toString("hex"));
  expect(Buffer.concat(backend()).equals(Buffer.concat(received))).toBe(true);
  await waitUntil("its end is seen", () => seen.at(-1)!.source === "closed");
  expect(seen.filter(({ source }) => source === "closed")).toHaveLength(1);
});

test("sees one data event as one call", async () => {
  const client = await WireClient.login(server);
  const pipeline = [parse("", "select 1"), bind("", "", []), execute(""), sync()];
  client.send(...pipeline);
  await client.until("Z");
  expect(hex(frontend().slice(-1))).toEqual([Buffer.concat(pipeline).toString("hex")]);
  await client.end();
});

test("tells connections apart", async () => {
  const a = await WireClient.login(server);
  const b = await WireClient.login(server);
  await Promise.all([a.query("select 'a'"), b.query("select 'b'"), a.query("select 'a'")]);
  const ids = [...new Set(seen.map(({ id }) => id))];
  expect(ids).toHaveLength(2);
  const ofB = ids.find((id) => frontend(id).some((bytes) => bytes.includes("select 'b'")));
  expect(frontend(ofB)).toHaveLength(2);
  expect(Buffer.concat(backend(ofB)).includes("select 'a'")).toBe(false);
  await Promise.all([a.end(), b.end()]);
});

test("sees what is refused and what the server says on its own", async () => {
  const clients = [await WireClient.login(server), await WireClient.login(server)];
  const refused = await WireClient.connect(server);
  refused.send(startup);
  await refused.untilEnd();
  const texts = (): string[] => describeLines(Buffer.concat(backend()));
  expect(texts().filter((line) => line.includes("53300"))).toHaveLength(1);
  clients[0]!.send(query("select 1"), Buffer.from("garbage"));
  await clients[0]!.untilEnd();
  expect(texts().filter((line) => line.includes("08P01"))).toHaveLength(1);
  await server.stop();
  await clients[1]!.untilEnd();
  expect(texts().filter((line) => line.includes("57P01"))).toHaveLength(1);
});

test("sees a login that is refused and a CancelRequest", async () => {
  const client = await WireClient.connect(server);
  client.send(message.startup({ user: "postgres", database: "nope" }));
  await client.untilEnd();
  const cancel = await WireClient.connect(server);
  cancel.send(message.cancelRequest(7, Buffer.alloc(4)));
  await cancel.untilEnd();
  expect(hex(frontend())[1]).toBe(message.cancelRequest(7, Buffer.alloc(4)).toString("hex"));
  expect(describeLines(Buffer.concat(backend()))).toEqual([expect.stringContaining("FATAL 3D000")]);
});

test("sees nothing of what the library itself asks the engine", async () => {
  const client = await WireClient.login(server);
  client.send(query("copy t from stdin"));
  await client.until("G");
  client.destroy();
  await waitUntil("it is gone", () => server.server.getStats().activeConnections === 0);
  const all = Buffer.concat(seen.map(({ bytes }) => bytes)).toString("latin1");
  expect(all).not.toMatch(/rollback|pglite_socket/);
});

function describeLines(bytes: Buffer): string[] {
  return new MessageReader().push(bytes).map(describeMessage);
}
