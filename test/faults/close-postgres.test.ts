import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { PGlite } from "@electric-sql/pglite";
import { drizzle } from "drizzle-orm/node-postgres";
import pg from "pg";
import { PGLiteSocketServer } from "pglite-socket-stock";
import postgres from "postgres";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { closePostgres } from "../../src/testing/index.ts";
import { createEngine } from "../support/engines.ts";

type Closable = Parameters<typeof closePostgres>[0];

let engine: PGlite;
let server: PGLiteSocketServer;
let line: Awaited<ReturnType<typeof openLine>>;

beforeAll(async () => {
  engine = await createEngine();
  server = new PGLiteSocketServer({ db: engine, port: 0, maxConnections: 10 });
  await server.start();
});

afterAll(async () => {
  await server.stop();
  await engine.close();
});

beforeEach(async () => {
  line = await openLine(Number(server.getServerConn().split(":").at(-1)));
});

afterEach(() => line.close());

/** A way to the server that can fall silent: from then on no byte comes back, and nothing is closed. */
async function openLine(serverPort: number) {
  const sockets = new Set<Socket>();
  let isSilent = false;
  let swallowed = 0;
  const front = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect(serverPort, "127.0.0.1");
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => sockets.delete(socket));
    }
    client.on("data", (data) => {
      if (isSilent) swallowed += data.length;
      else upstream.write(data);
    });
    client.on("end", () => {
      if (isSilent) return;
      upstream.end();
      client.end();
    });
    upstream.on("data", (data) => isSilent || client.write(data));
  }).listen(0, "127.0.0.1");
  await once(front, "listening");
  return {
    url: `postgres://postgres@127.0.0.1:${(front.address() as AddressInfo).port}/postgres?sslmode=disable`,
    /** The connections of the client that are still open. */
    openConnections: () => sockets.size,
    fallSilent: () => {
      isSilent = true;
    },
    /** Resolves when something was sent into the silence. */
    heardNothing: () => vi.waitFor(() => expect(swallowed).toBeGreaterThan(0), { timeout: 45_000 }),
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => front.close(resolve));
    },
  };
}

/** Each kind of client with one query behind it, and a way to send another one. */
const clients: [kind: string, open: () => Promise<{ client: Closable; query(): Promise<unknown> }>][] = [
  [
    "a postgres.js client",
    async () => {
      const sql = postgres(line.url, { max: 2, onnotice: () => {} });
      await sql`select 1`;
      return { client: sql, query: async () => sql`select 1` };
    },
  ],
  [
    "a pg Pool",
    async () => {
      const pool = new pg.Pool({ connectionString: line.url, max: 2 }).on("error", () => {});
      await pool.query("select 1");
      return { client: pool, query: () => pool.query("select 1") };
    },
  ],
  [
    "a pg Client",
    async () => {
      const client = new pg.Client({ connectionString: line.url }).on("error", () => {});
      await client.connect();
      await client.query("select 1");
      return { client, query: () => client.query("select 1") };
    },
  ],
];

describe.each(clients)("%s", (_kind, open) => {
  test("is closed gracefully, and its connections with it", async () => {
    const { client } = await open();
    expect(line.openConnections()).toBeGreaterThan(0);
    expect(await closePostgres(client)).toBe("closed");
    await vi.waitFor(() => expect(line.openConnections()).toBe(0), { timeout: 45_000 });
  });

  test("is closed once by two callers at the same time", async () => {
    const { client } = await open();
    expect(await Promise.all([closePostgres(client), closePostgres(client)])).toEqual(["closed", "closed"]);
    expect(await closePostgres(client)).toBe("closed");
  });
});

/** Each kind of client, two of its sockets, and work that it has not finished. */
const owners: [kind: string, open: () => Promise<{ client: Closable; sockets: Socket[]; work: Promise<unknown> }>][] = [
  [
    "a pg Pool",
    async () => {
      const { pool, sockets } = await openPool();
      return { client: pool, sockets, work: Promise.resolve() };
    },
  ],
  [
    "a database of drizzle",
    async () => {
      const { pool, sockets } = await openPool();
      return { client: drizzle(pool), sockets, work: Promise.resolve() };
    },
  ],
  [
    "a postgres.js client with a query under way",
    async () => {
      const sockets: Socket[] = [];
      const { hostname, port } = new URL(line.url);
      const socket = async () => {
        const made = connect(Number(port), hostname);
        sockets.push(made);
        await once(made, "connect");
        return made;
      };
      const sql = postgres(line.url, { max: 2, socket, onnotice: () => {} } as postgres.Options<
        Record<string, postgres.PostgresType>
      >);
      await Promise.all([sql`select 1`, sql`select 1`]);
      // A query is sent when somebody waits for it.
      return { client: sql, sockets, work: sql`select pg_sleep(0.1)`.execute() };
    },
  ],
];

async function openPool(): Promise<{ pool: pg.Pool; sockets: Socket[] }> {
  const pool = new pg.Pool({ connectionString: line.url, max: 2 });
  const sockets: Socket[] = [];
  pool.on("connect", (client) => {
    sockets.push((client as unknown as { connection: { stream: Socket } }).connection.stream);
  });
  await Promise.all([pool.query("select 1"), pool.query("select 1")]);
  return { pool, sockets };
}

test.each(owners)("%s has no open socket when it is closed", async (_, open) => {
  const { client, sockets, work } = await open();
  expect(sockets.map(({ closed }) => closed)).toEqual([false, false]);
  expect(await closePostgres(client)).toBe("closed");
  expect(sockets.map(({ closed }) => closed)).toEqual([true, true]);
  await work;
});

describe("with a server that has fallen silent", () => {
  test("closing a postgres.js client ends at the ceiling and drops its query", async () => {
    const { client, query } = await clients[0]![1]();
    line.fallSilent();
    const answer = query().catch((error: { code: string }) => error.code);
    await line.heardNothing();
    expect(await closePostgres(client, { timeoutMs: 50 })).toBe("timed out");
    expect(await answer).toBe("CONNECTION_DESTROYED");
  });

  test("closing a pg Pool with a query under way ends at the ceiling", async () => {
    const { client, query } = await clients[1]![1]();
    line.fallSilent();
    const answer = query().catch(() => "dropped");
    await line.heardNothing();
    expect(await closePostgres(client, { timeoutMs: 50 })).toBe("timed out");
    await line.close();
    expect(await answer).toBe("dropped");
  });
});
