/** When the backend sends what it has to say: at a Sync, a Flush, a full buffer, an error, or when it asks for data of a COPY. */
import { expect, test } from "vitest";
import { productServer } from "../support/product-server.ts";
import { waitUntil } from "../support/wait-until.ts";
import { message, rows, types, type WireClient } from "../support/wire-client.ts";

const { parse, bind, execute, flush, sync, describe: describeMessage, copyData, copyDone } = message;
const server = productServer();

/** A statement in three messages, without a Sync. */
function statement(sql: string): Buffer {
  return Buffer.concat([parse("", sql), bind("", ""), describeMessage("P", ""), execute("")]);
}

/** Resolves when the client's backend holds the advisory lock and other clients have been answered since. */
async function holdsLock(watcher: WireClient, key: number): Promise<void> {
  const held = `select count(*) from pg_locks where locktype = 'advisory' and objid = ${key} and granted`;
  await waitUntil("the backend holds the lock", async () => rows(await watcher.query(held))[0]?.[0] === "1");
  for (let round = 0; round < 5; round++) await watcher.query("select 1");
}

test("a backend keeps its answers until a Flush or a Sync", async () => {
  const [client, watcher] = [await server.login(), await server.login()];
  client.send(statement("select pg_advisory_lock(7)"));
  await holdsLock(watcher, 7);
  expect(types(client.unread)).toBe("");
  client.send(flush());
  expect(types(await client.until("C"))).toBe("12TDC");
  client.send(statement("select pg_advisory_lock(8)"));
  await holdsLock(watcher, 8);
  expect(types(client.unread)).toBe("");
  client.send(sync());
  expect(types(await client.until("Z"))).toBe("12TDCZ");
});

test("a backend sends the answers that its buffer has no room for", async () => {
  const [client, watcher] = [await server.login(), await server.login()];
  client.send(statement("select repeat('x', 9000), pg_advisory_lock(9)"));
  await holdsLock(watcher, 9);
  expect(types(client.unread)).toBe("12T");
  client.send(sync());
  expect(types(await client.until("Z"))).toBe("12TDCZ");
});

test("a backend sends an error of a pipeline at once, with the answers before it", async () => {
  const client = await server.login();
  client.send(statement("select 1"), statement("select 1/0"));
  expect(types(await client.until("E"))).toBe("12TDC1E");
  client.send(sync());
  expect(types(await client.until("Z"))).toBe("Z");
});

test("a backend asks for the data of a COPY, and keeps what it says of them", async () => {
  const [client, watcher] = [await server.login(), await server.login()];
  await client.query("create table copied (n int default 0, check (pg_advisory_lock(n) is not null))");
  client.send(statement("copy copied from stdin"));
  expect(types(await client.until("G"))).toBe("12nG");
  client.send(copyData("10\n"), copyDone());
  await holdsLock(watcher, 10);
  expect(types(client.unread)).toBe("");
  client.send(sync());
  expect(types(await client.until("Z"))).toBe("CZ");
});

test("a signal between two messages of a pipeline leaves its answers unsent", async () => {
  const [client, watcher] = [await server.login(), await server.login()];
  await client.query("listen unflushed");
  client.send(statement("begin"), statement("select pg_advisory_lock(11)"));
  await holdsLock(watcher, 11);
  await watcher.query("notify unflushed");
  for (let round = 0; round < 5; round++) await watcher.query("select 1");
  expect(types(client.unread)).toBe("");
  client.send(statement("commit"), sync());
  expect(types(await client.until("Z"))).toMatch(/^12nC12TDC12nCA?Z$/);
});

test("a client is notified after an answer whose ReadyForQuery left in two pieces", async () => {
  const [client, watcher] = [await server.login(), await server.login()];
  await client.query("listen split");
  // RowDescription, the head of DataRow and CommandComplete have 52 bytes of the buffer's 8,192.
  for (let length = 8192 - 52 - 7; length <= 8192 - 52 + 1; length++) {
    expect(types(await client.query(`select repeat('x', ${length}) as n`))).toBe("TDCZ");
    await watcher.query(`notify split, '${length}'`);
    expect(types([await client.next()])).toBe("A");
  }
});
