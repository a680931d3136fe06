/** The Unix socket in a directory: it is served like the port, and what is there already is told apart. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PGlite } from "@electric-sql/pglite";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { freePort } from "../../src/dev-db/servers/free-port.ts";
import { type Door, openDoor } from "../../src/transport/serve.ts";
import { ask } from "../support/answer.ts";
import { createEngine } from "../support/engines.ts";
import { close, listenOn } from "../support/free-range.ts";
import { message, WireClient } from "../support/wire-client.ts";

const host = "127.0.0.1";
let engine: PGlite;
let directory: string;
const doors: Door[] = [];

beforeAll(async () => {
  engine = await createEngine();
  directory = mkdtempSync(join(tmpdir(), "socket-directory-"));
});
afterEach(async () => {
  for (const door of doors.splice(0)) await door.stop();
});
afterAll(async () => {
  rmSync(directory, { recursive: true });
  await engine.close();
});

async function open(port: number, socketDir: string): Promise<Door> {
  const times = { idleTimeoutMs: 0, stallTimeoutMs: 10_000, transactionIdleTimeoutMs: 0 };
  const door = await openDoor(
    { engine, databases: ["postgres"], activity: () => [] },
    { host, port, socketDir, maxConnections: 2, ...times },
  );
  doors.push(door);
  return door;
}

const socketOf = (port: number): string => join(directory, `.s.PGSQL.${port}`);

async function expectServed(address: { port: number } | { path: string }): Promise<void> {
  const client = await WireClient.login(address);
  expect(await ask(client, [message.query("select 'served'")])).toBe("served");
  await client.end();
}

async function expectRefused(address: { port: number } | { path: string }): Promise<void> {
  await expect(WireClient.connect(address)).rejects.toThrow(/ECONNREFUSED|ENOENT/);
}

test("its clients are the server's: served, counted, and ended with it", async () => {
  const door = await open(0, directory);
  const path = socketOf(door.port);
  await expectServed({ path });
  const clients = [await WireClient.login({ path }), await WireClient.login({ port: door.port })];
  expect(door.stats()).toMatchObject({ activeConnections: 2 });
  const third = await WireClient.connect({ path });
  third.send(message.startup({ user: "postgres", database: "postgres" }));
  expect((await third.next()).body.toString()).toContain("53300");
  await door.stop();
  for (const client of clients) expect((await client.next()).body.toString()).toContain("57P01");
  expect(readdirSync(directory)).toEqual([]);
});

test("with a port that is taken nothing stays open, and the next start can succeed", async () => {
  const squatter = await listenOn(host, 0);
  const { port } = squatter.address() as { port: number };
  await expect(open(port, directory)).rejects.toMatchObject({ code: "EADDRINUSE", port });
  expect(readdirSync(directory)).toEqual([]);
  await close(squatter);
  await open(port, directory);
  await expectServed({ port });
  await expectServed({ path: socketOf(port) });
});

test("one that cannot be made closes the port again", async () => {
  const port = await freePort();
  await expect(open(port, join(directory, "missing"))).rejects.toMatchObject({
    code: expect.stringMatching(/ENOENT|EACCES/),
  });
  await expectRefused({ port });
});

test("one that answers is left alone", async () => {
  const port = await freePort();
  const other = createServer((socket) => socket.destroy()).listen(socketOf(port));
  await once(other, "listening");
  await expect(open(port, directory)).rejects.toMatchObject({ code: "EADDRINUSE" });
  const client = await WireClient.connect({ path: socketOf(port) });
  client.destroy();
  await close(other);
});

test("one whose process was killed is replaced", async () => {
  const port = await freePort();
  const path = socketOf(port);
  const listener = `require("net").createServer().listen(${JSON.stringify(path)}, () => console.log("listening"))`;
  const listening = spawn(process.execPath, ["-e", listener], { stdio: ["ignore", "pipe", "inherit"] });
  await once(listening.stdout, "data");
  listening.kill("SIGKILL");
  await once(listening, "exit");
  await expectRefused({ path });
  await open(port, directory);
  await expectServed({ path });
});

test("a file in its place is an error, and is not touched", async () => {
  const port = await freePort();
  writeFileSync(socketOf(port), "precious");
  await expect(open(port, directory)).rejects.toMatchObject({ code: "EADDRINUSE" });
  expect(readFileSync(socketOf(port), "utf8")).toBe("precious");
  await expectRefused({ port });
});
