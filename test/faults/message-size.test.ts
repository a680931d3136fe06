/**
 * The longest message: 1 GB, as in PostgreSQL (PQ_LARGE_MESSAGE_LIMIT). Larger ones than 256 MB are sent in earnest by a client.
 */
import { expect, test } from "vitest";
import { productServer } from "../support/product-server.ts";
import { errorFields, rows, type WireClient } from "../support/wire-client.ts";

const longest = 0x3fffffff - 1;

/** Begins a Query that says how long it is. */
function begin(client: WireClient, length: number): void {
  const header = Buffer.from("Q....select length('");
  header.writeInt32BE(length, 1);
  client.send(header);
}

const server = productServer();

test("a message of 1 GB may begin", async () => {
  const client = await server.login();
  begin(client, longest);
  // What another one is answered by then would be after a refusal.
  expect(rows(await (await server.login()).query("select 1"))).toEqual([["1"]]);
  expect(client.ended).toBe(false);
  expect((await server.transport.stats()).activeConnections).toBe(2);
});

test.each([longest + 1, 0x7fffffff, -1, 3])("one that says it has %i bytes is refused at once", async (length) => {
  const client = await server.login();
  begin(client, length);
  const error = errorFields(await client.untilEnd());
  expect([error?.get("S"), error?.get("C")]).toEqual(["FATAL", "08P01"]);
  expect(error?.get("M")).toContain(`invalid message length ${length}`);
});

test("a message above 256 MB is answered, and its session goes on", { tags: "long", timeout: 300_000 }, async () => {
  const client = await server.login();
  const bytes = 257 * 2 ** 20;
  const end = Buffer.from("')\0");
  begin(client, 4 + "select length('".length + bytes + end.length);
  client.send(Buffer.alloc(bytes, "x"), end);
  expect(rows(await client.until("Z"))).toEqual([[`${bytes}`]]);
  expect(rows(await client.query("select 1"))).toEqual([["1"]]);
});
