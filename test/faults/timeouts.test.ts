/** Clocks: which client is timed out, when, and who never is. */
import { Duplex } from "node:stream";
import type { PGlite } from "@electric-sql/pglite";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { ask, hear } from "../support/answer.ts";
import { createEngine } from "../support/engines.ts";
import { startServer, type TestServer, type TestServerOptions } from "../support/servers.ts";
import { timeoutPassed } from "../support/timeout-passed.ts";
import { waitUntil } from "../support/wait-until.ts";
import { WatchedEngine } from "../support/watched-engine.ts";
import { errorFields, message, WireClient } from "../support/wire-client.ts";

const { query, parse, bind, execute, flush, sync, copyData } = message;
const short = 100;
/** Longer than a busy machine keeps this process from running between two things that it does each `short`; `rounds` of them take longer still. */
const patient = 15 * short;
const rounds = 20;
const never = 0;

let engine: PGlite;
let watched: WatchedEngine;
let server: TestServer | undefined;
const clients: WireClient[] = [];

beforeAll(async () => {
  engine = await createEngine();
  await engine.exec("create table t(n int)");
  watched = new WatchedEngine(engine);
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await server?.stop();
  server = undefined;
});
afterAll(() => engine.close());

async function serve(options: TestServerOptions): Promise<void> {
  server = await startServer("ours", { db: watched as unknown as PGlite, ...options });
}

async function login(): Promise<WireClient> {
  const client = await WireClient.login(server!);
  clients.push(client);
  return client;
}

/** The error at the end of a connection. */
async function fatal(client: WireClient): Promise<Record<string, string>> {
  return Object.fromEntries(errorFields(await client.untilEnd())!);
}

const pass = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

describe("idleTimeout", () => {
  test("ends a healthy client that says nothing, with 57P05", async () => {
    await serve({ idleTimeout: short });
    const client = await login();
    expect(await fatal(client)).toMatchObject({
      S: "FATAL",
      C: "57P05",
      M: expect.stringContaining("idle-session timeout"),
    });
  });

  test("is restarted by every message, and by every answer", async () => {
    await serve({ idleTimeout: patient });
    const client = await login();
    for (let i = 0; i < rounds; i++) {
      expect(await ask(client, [query("select 1")])).toBe("1");
      await pass(short);
    }
    expect(client.ended).toBe(false);
    await client.untilEnd();
  });

  test("does not run while the client waits for the server", async () => {
    await serve({ idleTimeout: short, stallTimeout: short });
    const client = await login();
    const release = await watched.hold();
    client.send(query("select 'at last'"));
    await timeoutPassed(server!);
    expect(client.ended).toBe(false);
    release();
    expect(await hear(client)).toBe("at last");
  });

  test("does not run while others keep the client from the engine", async () => {
    await serve({ idleTimeout: patient, stallTimeout: short, transactionIdleTimeout: never });
    const holder = await login();
    const client = await login();
    await holder.query("begin");
    client.send(query("select 'at last'"));
    for (let i = 0; i < rounds; i++) {
      expect(await ask(holder, [query("select 1")])).toBe("1");
      await pass(short);
    }
    expect(client.ended).toBe(false);
    await holder.query("commit");
    expect(await hear(client)).toBe("at last");
  });

  test("of 0 never ends anybody", async () => {
    await serve({ idleTimeout: never, stallTimeout: short });
    const client = await login();
    await timeoutPassed(server!);
    expect(await ask(client, [query("select 1")])).toBe("1");
  });
});

describe("stallTimeout", () => {
  test("is restarted by every data event: a slow message is no stall", async () => {
    await serve({ stallTimeout: patient });
    const client = await login();
    const bytes = query("select 'slow'");
    for (let at = 0; at < bytes.length; at++) {
      client.send(bytes.subarray(at, at + 1));
      await pass(short);
    }
    expect(await hear(client)).toBe("slow");
  });

  test("of 0 never ends anybody in the middle", async () => {
    await serve({ stallTimeout: never });
    const client = await login();
    client.send(parse("", "select 'later'"), bind("", ""), flush());
    await client.until("2");
    client.send(query("x").subarray(0, 3));
    // What 0 might be taken for: as soon as can be, or the library's own timeout of a login.
    const other = await startServer("ours", { db: engine, stallTimeout: short });
    await timeoutPassed(other);
    await other.stop();
    expect(client.ended).toBe(false);
  });

  test("does not run against a client whose COPY waits for the engine", async () => {
    await serve({ stallTimeout: short, transactionIdleTimeout: never });
    const holder = await login();
    const client = await login();
    client.send(query("copy t from stdin"));
    await client.until("G");
    await holder.query("begin");
    client.send(copyData("1\n"), message.copyDone());
    for (let i = 0; i < 6; i++) {
      expect(await ask(holder, [query("select 1")])).toBe("1");
      await pass(short);
    }
    await holder.query("commit");
    expect(await hear(client)).toBe("COPY 1");
    await client.query("truncate t");
  });

  test("ends who does not read in the middle of a pipeline that keeps the others waiting", async () => {
    await serve({ stallTimeout: short, transactionIdleTimeout: never });
    const client = await login();
    const other = await login();
    client.socket.pause();
    client.send(
      parse("", "select repeat('x', 1000000) from generate_series(1, 30)"),
      bind("", ""),
      execute(""),
      flush(),
    );
    await pass(short);
    expect(await ask(other, [query("select 'served'")])).toBe("served");
  });

  test("does not end who does not read an answer that keeps nobody", async () => {
    await serve({ stallTimeout: short });
    const client = await login();
    client.socket.pause();
    client.send(query("select repeat('x', 1000000) from generate_series(1, 30)"));
    await timeoutPassed(server!, 3);
    expect(await ask(await login(), [query("select 'served'")])).toBe("served");
    client.socket.resume();
    expect((await client.until("Z")).filter(({ type }) => type === "D")).toHaveLength(30);
  });
});

describe("transactionIdleTimeout", () => {
  test("ends who idles in a transaction while somebody waits, and says what to do", async () => {
    await serve({ transactionIdleTimeout: short });
    const idler = await login();
    const waiter = await login();
    await idler.query("begin");
    await idler.query("insert into t values (1)");
    waiter.send(query("select count(*) from t"));
    const error = await fatal(idler);
    expect(error).toMatchObject({ S: "FATAL", C: "25P03" });
    expect(error.H).toBeTruthy();
    expect(await hear(waiter)).toBe("0");
  });

  test("leaves who idles in a transaction alone while nobody waits", async () => {
    await serve({ transactionIdleTimeout: short, stallTimeout: short });
    const idler = await login();
    await login();
    await idler.query("begin");
    await timeoutPassed(server!);
    expect(await ask(idler, [query("commit")])).toBe("COMMIT");
  });

  test("counts from when the first one waits, not from the begin", async () => {
    await serve({ transactionIdleTimeout: patient, stallTimeout: patient });
    const idler = await login();
    const waiter = await login();
    await idler.query("begin");
    await timeoutPassed(server!);
    waiter.send(query("select 'waited'"));
    await waitUntil("it waits", () => server!.server.getStats().queuedQueries === 1);
    expect(await ask(idler, [query("commit")])).toBe("COMMIT");
    expect(await hear(waiter)).toBe("waited");
  });

  test("is restarted by what the holder does: work is no idling", async () => {
    await serve({ transactionIdleTimeout: patient });
    const worker = await login();
    const waiter = await login();
    await worker.query("begin");
    waiter.send(query("select 'waited'"));
    for (let i = 0; i < rounds; i++) {
      expect(await ask(worker, [parse("", "select 1"), bind("", ""), execute(""), sync()])).toBe("1");
      await pass(short);
    }
    expect(await ask(worker, [query("commit")])).toBe("COMMIT");
    expect(await hear(waiter)).toBe("waited");
  });
});

test("COPY data that comes in a transaction is no idling", async () => {
  await serve({ transactionIdleTimeout: patient });
  const worker = await login();
  const waiter = await login();
  await worker.query("begin");
  worker.send(query("copy t from stdin"));
  await worker.until("G");
  waiter.send(query("select count(*) from t"));
  for (let i = 0; i < rounds; i++) {
    worker.send(copyData(`${i}\n`));
    await pass(short);
  }
  worker.send(message.copyDone(), query("rollback"));
  expect([await hear(worker), await hear(worker)]).toEqual([`COPY ${rounds}`, "ROLLBACK"]);
  expect(await hear(waiter)).toBe("0");
});

test("a socket that is gone when it is accepted takes no place and hurts nobody", async () => {
  // Only Node can make one: the stand-in is for the socket, given to the real listener.
  const listeners: { emit(event: string, socket: Duplex): boolean }[] = [];
  const { Server } = await import("node:net");
  const listen = Server.prototype.listen;
  Server.prototype.listen = function (this: InstanceType<typeof Server>, ...parameters: unknown[]) {
    listeners.push(this);
    return (listen as (...all: unknown[]) => typeof this).apply(this, parameters);
  } as typeof listen;
  try {
    await serve({});
  } finally {
    Server.prototype.listen = listen;
  }
  const gone = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  Object.assign(gone, { setNoDelay: () => gone });
  gone.destroy();
  expect(() => listeners[0]!.emit("connection", gone)).not.toThrow();
  await waitUntil("no place is taken", () => server!.server.getStats().activeConnections === 0);
  expect(await ask(await login(), [query("select 1")])).toBe("1");
});
