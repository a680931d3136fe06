/**
 * Results that are larger than what may lie between the engine and a client: streamed, held up by a slow reader, and
 * never collected in memory.
 */
import { expect, test } from "vitest";
import { memoryInUse } from "../support/memory.ts";
import { productServer } from "../support/product-server.ts";
import { report } from "../support/report.ts";
import { message, rows } from "../support/wire-client.ts";

const megabytes = 400;
const large = `select repeat('x', 10000) from generate_series(1, ${megabytes * 100})`;

const server = productServer({ listen: { stallTimeoutMs: 1000 } });

test("a large result to a slow reader costs little memory, and arrives whole", async () => {
  const client = await server.login();
  const { socket } = client;
  socket.removeAllListeners("data");
  let received = 0;
  let peak = 0;
  const before = memoryInUse();
  const rss = process.memoryUsage.rss();
  const whole = new Promise<void>((resolve) => {
    let seen = 0;
    socket.on("data", (chunk: Buffer) => {
      received += chunk.length;
      if (chunk.subarray(-6).equals(Buffer.from([0x5a, 0, 0, 0, 5, 0x49]))) return resolve();
      if (Math.floor(received / 20_000_000) === seen) return;
      seen++;
      peak = Math.max(peak, memoryInUse() - before);
      socket.pause();
      setTimeout(() => socket.resume(), 20);
    });
  });
  client.send(message.query(large));
  await whole;
  report(
    `${(received / 1e6).toFixed(0)} MB to a slow reader: ${(peak / 1e6).toFixed(1)} MB of heap and buffers, ` +
      `resident size grew by ${((process.memoryUsage.rss() - rss) / 1e6).toFixed(0)} MB`,
  );
  expect(received).toBeGreaterThan(megabytes * 1_000_000);
  expect(peak).toBeLessThan(megabytes * 100_000);
});

test("a client that stops reading in the middle of its result does not stop the others", async () => {
  const { client, processId } = await server.loginWithKey();
  client.socket.pause();
  client.send(message.query(large));
  await server.running(processId);
  const other = await server.login();
  const began = performance.now();
  expect(rows(await other.query("select 1"))).toEqual([["1"]]);
  report(`the next statement ran ${(performance.now() - began).toFixed(0)} ms later, with a stall timeout of 1000 ms`);
  client.socket.resume();
  expect((await client.until("Z")).at(-2)?.type).toBe("C");
});

test("a client that goes in the middle of its result leaves the engine to the others", async () => {
  const { client, processId } = await server.loginWithKey();
  client.socket.pause();
  client.send(message.query(large));
  await server.running(processId);
  client.destroy();
  const other = await server.login();
  expect(rows(await other.query("select 1"))).toEqual([["1"]]);
});

test("COPY TO STDOUT streams as well", { tags: "long" }, async () => {
  const client = await server.login();
  client.socket.removeAllListeners("data");
  let received = 0;
  const before = memoryInUse();
  let peak = 0;
  const whole = new Promise<void>((resolve) => {
    client.socket.on("data", (chunk: Buffer) => {
      received += chunk.length;
      if (received % 50 === 0) peak = Math.max(peak, memoryInUse() - before);
      if (chunk.subarray(-6).equals(Buffer.from([0x5a, 0, 0, 0, 5, 0x49]))) resolve();
    });
  });
  client.send(message.query(`copy (${large}) to stdout`));
  await whole;
  expect(received).toBeGreaterThan(megabytes * 1_000_000);
  expect(peak).toBeLessThan(megabytes * 100_000);
});
