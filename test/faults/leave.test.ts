/** Clients that leave when the server stops: they are let go without an error, and only who stays is told to go. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import type { Transport } from "../../src/engine/listener.ts";
import { productServer } from "../support/product-server.ts";
import { selfSigned } from "../support/self-signed.ts";
import { waitUntil } from "../support/wait-until.ts";
import { errorFields, message, types, WireClient } from "../support/wire-client.ts";

const certificate = selfSigned();
const startup = message.startup({ user: "postgres", database: "postgres" });

const server = productServer();
let transport: Transport;
let socketDir: string;

beforeEach(async () => {
  socketDir = mkdtempSync(join(tmpdir(), "leave-"));
  transport = await server.listen({ certificate, socketDir });
});
afterEach(async () => {
  vi.useRealTimers();
  await transport.stop();
  rmSync(socketDir, { recursive: true });
});

/** From here on no time passes: what waits for a timer waits for ever. */
function stopTheClocks(): void {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
}

async function login(): Promise<WireClient> {
  const client = await WireClient.login(transport);
  onTestFinished(() => client.destroy());
  return client;
}

test("with nobody connected, stopping waits for no timer", async () => {
  stopTheClocks();
  await transport.stop();
  await expect(WireClient.connect(transport)).rejects.toThrow(/ECONNREFUSED/);
});

test.each<[string, (client: WireClient) => void]>([
  ["says Terminate", (client) => client.send(message.terminate())],
  ["says Terminate and closes", (client) => client.socket.end(message.terminate())],
  ["closes its side", (client) => client.socket.end()],
])("who %s at the same tick is told nothing, and is waited for no longer than that takes", async (_, leave) => {
  const clients = await Promise.all([login(), login(), login()]);
  stopTheClocks();
  for (const client of clients) leave(client);
  await transport.stop();
  for (const client of clients) expect(types(await client.untilEnd())).toBe("");
});

test("who stays is told when the others have left", async () => {
  const [staying, leaving] = [await login(), await login()];
  leaving.send(message.terminate());
  await transport.stop();
  expect(types(await leaving.untilEnd())).toBe("");
  expect(errorFields(await staying.untilEnd())?.get("C")).toBe("57P01");
});

test("who said Terminate behind a statement that does not end is told nothing", async () => {
  const client = await login();
  const endless = "do $$begin raise notice 'begun'; perform pg_sleep(600); end$$";
  client.send(message.query(endless), message.terminate());
  await client.until("N");
  await transport.stop();
  expect(types(await client.untilEnd())).not.toContain("E");
});

test.each(["select pg_sleep(600)", "do $$begin loop end loop; end$$"])(
  "who has committed is told so before it is told to go, also in front of %s",
  async (endless) => {
    const client = await login();
    client.send(message.query(`begin; create temp table committed (n int); commit; ${endless}`));
    const isBusy = ({ state }: { state: string }) => state !== "idle";
    await waitUntil("it is busy", async () => (await transport.stats()).connections.some(isBusy));
    // The endless statement has begun when others have had their turns meanwhile.
    for (let turn = 0; turn < 20; turn++) await (await login()).query("select 1");
    await transport.stop();
    const told = await client.untilEnd();
    expect(types(told)).toMatch(/^CCCT?E$/);
    expect(errorFields(told)?.get("C")).toBe("57P01");
  },
);

test("a login that is under way comes to its end, and its client may leave", async () => {
  const client = await WireClient.connect(transport);
  onTestFinished(() => client.destroy());
  await waitUntil("it is seen", async () => (await transport.stats()).activeConnections === 1);
  stopTheClocks();
  client.send(startup);
  const stopped = transport.stop();
  expect(types(await client.until("Z"))).not.toContain("E");
  client.send(message.terminate());
  await stopped;
  expect(types(await client.untilEnd())).toBe("");
});

const ways: [string, () => pg.PoolConfig][] = [
  ["TCP", () => ({ host: "127.0.0.1", ssl: false })],
  ["TLS", () => ({ host: "127.0.0.1", ssl: { rejectUnauthorized: false } })],
  ["a Unix socket", () => ({ host: socketDir })],
];

/** A pool with three clients that are connected, and the errors that nobody would have caught. */
async function openPool(config: pg.PoolConfig): Promise<{ pool: pg.Pool; errors: unknown[]; gone(): Promise<void> }> {
  const pool = new pg.Pool({ user: "postgres", database: "postgres", port: transport.port, ...config });
  const errors: unknown[] = [];
  let open = 0;
  pool.on("connect", (client) => {
    open++;
    client.on("error", (error) => errors.push(error)).on("end", () => open--);
  });
  await Promise.all([1, 2, 3].map(() => pool.query("select 1")));
  expect(open).toBe(3);
  return { pool, errors, gone: () => waitUntil("its clients have gone", () => open === 0) };
}

describe.each(ways)("a pg Pool over %s", (_, config) => {
  test("whose end is awaited ends without an error", async () => {
    const { pool, errors, gone } = await openPool(config());
    await pool.end();
    await transport.stop();
    await gone();
    expect(errors).toEqual([]);
  });

  test("that is ended at the same tick, with queries under way, has its answers and no error", async () => {
    const { pool, errors, gone } = await openPool(config());
    const clients = await Promise.all([1, 2, 3].map(() => pool.connect()));
    stopTheClocks();
    const answers = clients.map((client) => client.query("select 1 as one").finally(() => client.release()));
    const ended = pool.end();
    await transport.stop();
    for (const { rows } of await Promise.all(answers)) expect(rows).toEqual([{ one: 1 }]);
    vi.useRealTimers();
    await ended;
    await gone();
    expect(errors).toEqual([]);
  });
});

test("a pg Pool that nobody ends hears 57P01 from each of its clients, as PostgreSQL has it", async () => {
  const { pool } = await openPool(ways[0]![1]());
  const codes: (string | undefined)[] = [];
  pool.on("error", (error: Error & { code?: string }) => codes.push(error.code));
  await transport.stop();
  await waitUntil("all have heard it", () => codes.length === 3);
  expect(codes).toEqual(["57P01", "57P01", "57P01"]);
  await pool.end();
});
