/** Bytes that are no messages: a FATAL error for who sent them, nothing for anybody else. */
import type { PGlite } from "@electric-sql/pglite";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { ask } from "../support/answer.ts";
import { createEngine } from "../support/engines.ts";
import { startServer, type TestServer } from "../support/servers.ts";
import { timeoutPassed } from "../support/timeout-passed.ts";
import { waitUntil } from "../support/wait-until.ts";
import { errorFields, message, types, WireClient } from "../support/wire-client.ts";

const { query, parse, bind, execute, sync, copyData } = message;
const stallTimeout = 150;

let engine: PGlite;
let server: TestServer;
let bystander: WireClient;
let written = 0;

beforeAll(async () => {
  engine = await createEngine();
  await engine.exec("create table t(n int); create table kept(n int)");
  server = await startServer("ours", { db: engine, stallTimeout, maxMessageBytes: 100_000 });
  bystander = await WireClient.login(server);
});
afterEach(async () => {
  expect(await ask(bystander, [query(`insert into kept values (${++written})`)])).toBe("INSERT 0 1");
  expect(await ask(bystander, [query("select count(*) from kept")])).toBe(String(written));
  expect(await ask(bystander, [query("select count(*) from t")])).toBe("0");
  await waitUntil("only the bystander is connected", () => server.server.getStats().activeConnections === 1);
});
afterAll(async () => {
  await server.stop();
  await engine.close();
});

/** What a client gets before its end: the types of the messages, and the error. */
async function endOf(client: WireClient): Promise<string> {
  const messages = await client.untilEnd();
  const error = errorFields(messages);
  return `${types(messages)} ${error?.get("V")} ${error?.get("C")} ${error?.get("M")}`;
}

const header = (type: string, length: number): Buffer => {
  const bytes = Buffer.alloc(5);
  bytes.write(type, "latin1");
  bytes.writeInt32BE(length, 1);
  return bytes;
};

const noFrames: [name: string, bytes: Buffer, says: RegExp][] = [
  ["a length of 3", header("Q", 3), /invalid message length 3 for message type "Q"/],
  ["a length of 0", header("S", 0), /invalid message length 0/],
  ["a negative length", header("P", -1), /invalid message length -1/],
  ["a length over maxMessageBytes", header("B", 100_001), /4 to 100000 are accepted/],
  ["the longest length there is", header("Q", 2 ** 31 - 1), /invalid message length 2147483647/],
  ["a Sync of 10001 bytes", header("S", 10_001), /4 to 10000 are accepted/],
  ["an HTTP request", Buffer.from("GET / HTTP/1.1\r\n\r\n"), /invalid frontend message type 71/],
  ["a password that nobody asked for", header("p", 8), /invalid frontend message type 112/],
  ["a backend message", header("Z", 5), /invalid frontend message type 90/],
  ["zeros", Buffer.alloc(1000), /invalid frontend message type 0/],
  ["a TLS handshake", Buffer.from("16030102000100", "hex"), /invalid frontend message type 22/],
];

describe.each(noFrames)("%s", (_, bytes, says) => {
  const states: [name: string, said: Buffer[], answer: string, types: string][] = [
    ["after the login", [], "", "E"],
    ["behind a good message", [query("select 1")], "", "TDCZE"],
    ["in a pipeline", [parse("", "insert into t values (1)"), bind("", ""), execute("")], "C", "E"],
    ["in a skipped pipeline", [parse("", "selec")], "E", "E"],
    ["in a transaction", [query("begin; insert into t values (1)")], "Z", "E"],
    ["in a COPY", [query("copy t from stdin"), copyData("1\n")], "G", "E"],
  ];
  test.each(states)(
    "%s ends the connection with 08P01 and what came before undone",
    async (_, said, answer, expected) => {
      const client = await WireClient.login(server);
      if (answer) {
        client.send(...said);
        await client.until(answer);
        client.send(bytes);
      } else {
        client.send(...said, bytes);
      }
      expect(await endOf(client)).toMatch(new RegExp(`^${expected} FATAL 08P01 .*${says.source}`));
    },
  );
});

test("what comes behind a violation is not run", async () => {
  const client = await WireClient.login(server);
  client.send(header("Q", 3), query("insert into t values (1)"));
  client.send(query("insert into t values (2)"));
  expect(types(await client.untilEnd())).toBe("E");
});

test("a violation is told although the client goes on sending and does not read at once", async () => {
  const client = await WireClient.login(server);
  client.socket.pause();
  client.send(header("Q", 3));
  for (let i = 0; i < 200; i++) client.socket.write(Buffer.alloc(1000, 0x51));
  client.socket.resume();
  expect(await endOf(client)).toContain("FATAL 08P01");
});

const halves: [name: string, said: Buffer[], answer: string, half: Buffer][] = [
  ["half a header", [], "", query("select 1").subarray(0, 3)],
  ["half a message", [], "", query("select 1").subarray(0, 9)],
  ["a type without a length", [], "", Buffer.from("Q")],
  ["a good message and half a one", [query("select 1")], "", query("select 1").subarray(0, 9)],
  ["half a pipeline", [parse("", "insert into t values (1)"), bind("", ""), execute("")], "C", Buffer.alloc(0)],
  ["a pipeline that failed, without its Sync", [parse("", "selec"), bind("", "")], "E", Buffer.alloc(0)],
  ["a COPY without an end", [query("copy t from stdin")], "G", copyData("1\n")],
  ["half a CopyData", [query("copy t from stdin")], "G", copyData("1\n").subarray(0, 6)],
];

test.each(halves)("%s and then silence ends in 57P05 after the stall timeout", async (_, said, answer, half) => {
  const client = await WireClient.login(server);
  client.send(...said, ...(answer ? [] : [half]));
  if (answer) {
    await client.until(answer);
    if (half.length > 0) client.send(half);
  }
  expect(await endOf(client)).toMatch(/E FATAL 57P05 terminating connection due to stall timeout$/);
});

test("a silent client without anything half said is left alone", async () => {
  const client = await WireClient.login(server);
  expect(await ask(client, [parse("", "select 7"), bind("", ""), execute(""), sync()])).toBe("7");
  await timeoutPassed(server, 3);
  expect(await ask(client, [query("select 8")])).toBe("8");
  await client.end();
});

test.each([
  ["nothing", Buffer.alloc(0)],
  ["half a length", Buffer.alloc(2)],
  ["half a startup message", message.startup({ user: "postgres" }).subarray(0, 15)],
  ["an SSLRequest", message.sslRequest()],
  ["a GSSENCRequest and an SSLRequest", Buffer.concat([message.gssencRequest(), message.sslRequest()])],
])("%s and then silence does not keep a place for longer than the stall timeout", async (_, bytes) => {
  const client = await WireClient.connect(server);
  if (bytes.length > 0) client.send(bytes);
  await client.untilEnd();
});

test("bytes that come one by one do not make the time for a login longer", async () => {
  const client = await WireClient.connect(server);
  const bytes = message.startup({ user: "postgres", application_name: "x".repeat(200) });
  let sent = 0;
  while (!client.ended && sent < bytes.length) {
    client.send(bytes.subarray(sent, ++sent));
    await new Promise((resolve) => setTimeout(resolve, stallTimeout / 10));
  }
  await client.untilEnd();
  // A tenth of the timeout for each byte: the last one would come after twenty times the timeout.
  expect(sent).toBeLessThan(bytes.length);
});

test("a second SSLRequest is a violation", async () => {
  const client = await WireClient.connect(server);
  client.send(message.sslRequest());
  expect(await client.bytes(1)).toEqual(Buffer.from("N"));
  client.send(message.sslRequest());
  expect(await endOf(client)).toContain("FATAL 08P01");
});
