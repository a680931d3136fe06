/** Starting the server: what fails leaves nothing open and can be tried again; a stop may come at any moment. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PGlite } from "@electric-sql/pglite";
import { PGLiteSocketServer, type PGLiteSocketServerOptions } from "@electric-sql/pglite-socket";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { ask } from "../support/answer.ts";
import { createEngine } from "../support/engines.ts";
import { close, listenOn } from "../support/free-range.ts";
import { WatchedEngine } from "../support/watched-engine.ts";
import { message, WireClient } from "../support/wire-client.ts";

let pglite: PGlite;
let directory: string;
const servers: PGLiteSocketServer[] = [];
const squatters: Server[] = [];

beforeAll(async () => {
  pglite = await createEngine();
  directory = mkdtempSync(join(tmpdir(), "library-start-"));
});
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
  for (const squatter of squatters.splice(0)) await close(squatter);
});
afterAll(async () => {
  rmSync(directory, { recursive: true });
  await pglite.close();
});

function make(options: Partial<PGLiteSocketServerOptions> = {}): PGLiteSocketServer {
  const server = new PGLiteSocketServer({ db: new WatchedEngine(pglite), port: 0, ...options });
  servers.push(server);
  return server;
}

async function expectServed(address: { port: number } | { path: string }): Promise<void> {
  const client = await WireClient.login(address);
  expect(await ask(client, [message.query("select 'served'")])).toBe("served");
  await client.end();
}

async function expectRefused(address: { port: number } | { path: string }): Promise<void> {
  await expect(WireClient.connect(address)).rejects.toThrow(/ECONNREFUSED|ENOENT/);
}

test("a taken port is the system's error, nothing stays open, and the next start can succeed", async () => {
  const squatter = await listenOn("127.0.0.1", 0);
  squatters.push(squatter);
  const { port } = squatter.address() as { port: number };
  const server = make({ port });
  await expect(server.start()).rejects.toMatchObject({ code: "EADDRINUSE", port });
  await expect(server.start()).rejects.toMatchObject({ code: "EADDRINUSE" });
  await close(squatters.pop()!);
  await server.start();
  await expectServed(server);
});

test("a path is served; one that is taken is the system's error, and is left alone", async () => {
  const path = join(directory, "socket");
  const first = make({ path });
  await first.start();
  expect(first.getServerConn()).toBe(path);
  await expectServed({ path });
  await expect(make({ path }).start()).rejects.toMatchObject({ code: "EADDRINUSE" });
  await expectServed({ path });
  const precious = join(directory, "precious");
  writeFileSync(precious, "precious");
  await expect(make({ path: precious }).start()).rejects.toMatchObject({ code: "EADDRINUSE" });
  expect(readFileSync(precious, "utf8")).toBe("precious");
});

test("a start while the server runs or starts is an error and disturbs nothing", async () => {
  const server = make();
  const starting = server.start();
  await expect(server.start()).rejects.toThrow(/already started/);
  await starting;
  await expect(server.start()).rejects.toThrow(/already started/);
  await expectServed(server);
});

test("an engine that does not come up is the error of the start, and the next start tries again", async () => {
  let ready: Promise<void> = Promise.reject(new Error("no such engine"));
  ready.catch(() => {});
  const engine = new WatchedEngine(pglite);
  Object.defineProperty(engine, "waitReady", { get: () => ready });
  const server = make({ db: engine });
  await expect(server.start()).rejects.toThrow("no such engine");
  await server.stop();
  ready = Promise.resolve();
  await server.start();
  await expectServed(server);
});

test("an engine that fails with its first message is the error of the start", async () => {
  const engine = new WatchedEngine(pglite);
  let fails = true;
  const run = engine.execProtocolRawStream.bind(engine);
  engine.execProtocolRawStream = (...parameters) => (fails ? Promise.reject(new Error("broken")) : run(...parameters));
  const server = make({ db: engine });
  await expect(server.start()).rejects.toThrow("broken");
  await expectRefused({ port: server.port || 1 });
  fails = false;
  await server.start();
  await expectServed(server);
});

test("a stop during a start ends the start, and nothing of it comes later", async () => {
  let comeUp!: () => void;
  const engine = new WatchedEngine(pglite, new Promise((resolve) => (comeUp = resolve)));
  const server = make({ db: engine });
  const starting = server.start().then(
    () => "started",
    (error: Error) => error.message,
  );
  const stopping = server.stop();
  comeUp();
  await stopping;
  const runs = engine.runs;
  expect(await starting).toBe("Socket server stopped while it was starting");
  const other = make();
  await other.start();
  for (let n = 0; n < 3; n++) await expectServed(other);
  expect(engine.runs).toBe(runs);
  await expectRefused({ port: server.port || 1 });
});

test("a start right behind a stop during a start is a start of its own", async () => {
  let comeUp!: () => void;
  const engine = new WatchedEngine(pglite, new Promise((resolve) => (comeUp = resolve)));
  const server = make({ db: engine });
  const first = server.start().then(
    () => "started",
    (error: Error) => error.message,
  );
  const stopped = server.stop();
  comeUp();
  await stopped;
  await server.start();
  expect(await first).toBe("Socket server stopped while it was starting");
  await expectServed(server);
  await server.stop();
  await expectRefused(server);
});

test("stops and starts in a row, in any order, leave one server or none", async () => {
  const server = make();
  for (let round = 0; round < 10; round++) {
    await Promise.allSettled([server.start(), server.stop(), server.start(), server.stop()]);
    await server.stop();
    await expectRefused({ port: server.port || 1 });
    await server.start();
    await expectServed(server);
    await server.stop();
  }
});

test("port 0 takes any free port with each start", async () => {
  const server = make();
  await server.start();
  const { port } = server;
  await server.stop();
  squatters.push(await listenOn("127.0.0.1", port));
  await server.start();
  await expectServed(server);
});
