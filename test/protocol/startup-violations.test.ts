/** What a client is told that does not say what a startup packet is: as PostgreSQL 18 does it, most of them nothing. */
import { describe, expect, test } from "vitest";
import { productServer } from "../support/product-server.ts";
import { errorFields, message, types, WireClient } from "../support/wire-client.ts";

const server = productServer();
const locked = productServer({ listen: { password: "secret" } });
const length = (bytes: number): Buffer => {
  const packet = Buffer.alloc(8);
  packet.writeInt32BE(bytes);
  return packet;
};

/** Everything that the server sends to a client that says this, and may say no more. */
async function answerTo(bytes: Buffer, isOver = false): Promise<string> {
  const client = await WireClient.connect(server.transport);
  const said: Buffer[] = [];
  client.socket.on("data", (chunk: Buffer) => said.push(chunk));
  if (isOver) client.socket.end(bytes);
  else client.send(bytes);
  await client.untilEnd();
  return Buffer.concat(said).toString("latin1");
}

describe("the server closes without a word", () => {
  test.each([
    ["that ends before its startup packet", Buffer.alloc(0), true],
    ["that ends in the middle of its startup packet", message.startup({ user: "postgres" }).subarray(0, 12), true],
    ["that says goodbye first", message.terminate(), false],
    ["that speaks HTTP", Buffer.from("GET / HTTP/1.1\r\n\r\n"), false],
    ["that begins with a TLS handshake", Buffer.from("160301020001000100", "hex"), false],
    ["whose packet has no room for a version", length(7), false],
    ["whose packet would be too long", length(0x7fffffff), false],
    ["whose CancelRequest has no key", message.cancelRequest(1, Buffer.alloc(0)), false],
  ])("on a client %s", async (_, bytes, isOver) => {
    expect(await answerTo(bytes, isOver)).toBe("");
  });
});

test.each([1, 2])("a client of protocol %d.0 is refused in the form that it reads", async (major) => {
  const packet = message.untyped(major << 16, Buffer.alloc(288));
  expect(await answerTo(packet)).toBe(
    `EFATAL:  unsupported frontend protocol ${major}.0: server supports 3.0 to 3.2\n\0`,
  );
});

test("a client of a later protocol is refused with 0A000", async () => {
  const client = await WireClient.connect(server.transport);
  client.send(message.startup({ user: "postgres" }, 4 << 16));
  expect(errorFields(await client.untilEnd())?.get("C")).toBe("0A000");
});

test("a client that asks for more than is spoken is told so before it is asked for a password", async () => {
  const client = await WireClient.connect(locked.transport);
  client.send(message.startup({ user: "postgres", "_pq_.unknown": "1" }, (3 << 16) | 9));
  expect(types(await client.until("R"))).toBe("vR");
  client.destroy();
});

test("a client that asks for more than is spoken is told so before it is refused", async () => {
  const client = await WireClient.connect(server.transport);
  client.send(message.startup({ user: "nobody_of_that_name", database: "postgres" }, (3 << 16) | 9));
  expect(types(await client.untilEnd())).toBe("vE");
});
