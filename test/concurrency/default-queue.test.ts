/**
 * The patched library alone, over a bare PGlite and with its own queue: batches in order, pipelines and transactions
 * undivided, what a client leaves open undone.
 *
 * Owns: what the queue promises. Does not own: names of statements (`statements.test.ts`, `unnamed-statement.test.ts`), COPY
 * (`copy-in.test.ts`, `copy.test.ts`), random pipelines (`split-storm.long.test.ts`).
 */
import type { PGlite } from "@electric-sql/pglite";
import { PGLiteSocketServer } from "@electric-sql/pglite-socket";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { createEngine } from "../support/engines.ts";
import { Random, runSeed } from "../support/random.ts";
import { timeoutPassed } from "../support/timeout-passed.ts";
import { waitUntil } from "../support/wait-until.ts";
import { errorFields, message, rows, types, WireClient } from "../support/wire-client.ts";

const { query, parse, bind, execute, sync } = message;
const mark = "marked to fail";

let engine: PGlite;

beforeAll(async () => {
  engine = await createEngine();
  await engine.exec("create table kept (value int)");
});
afterAll(() => engine?.close());

/** The engine, except that messages with the mark are rejected without having run. */
function failing(db: PGlite): PGlite {
  const execProtocolRawStream: PGlite["execProtocolRawStream"] = (bytes, options) =>
    Buffer.from(bytes).includes(mark)
      ? Promise.reject(new Error("engine exception of the test"))
      : db.execProtocolRawStream(bytes, options);
  return new Proxy(db, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (property === "execProtocolRawStream") return execProtocolRawStream;
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

async function serve(options: { db?: PGlite; transactionIdleTimeout?: number; stallTimeout?: number } = {}) {
  const server = new PGLiteSocketServer({ db: engine, port: 0, ...options });
  await server.start();
  const clients: WireClient[] = [];
  onTestFinished(async () => {
    for (const client of clients) client.destroy();
    await server.stop();
  });
  const login = async (): Promise<WireClient> => {
    const client = await WireClient.login(server);
    clients.push(client);
    return client;
  };
  return { server, login };
}

const countOf = async (value: number): Promise<unknown> =>
  (await engine.query<{ n: number }>(`select count(*)::int as n from kept where value = ${value}`)).rows[0]!.n;

test("a login answers with the settings of the session, and with the client's own", async () => {
  const { server } = await serve();
  const client = await WireClient.connect(server);
  onTestFinished(() => client.destroy());
  client.send(message.startup({ user: "postgres", database: "postgres", application_name: "mine" }));
  const settings = (await client.until("Z")).filter(({ type }) => type === "S").map(({ body }) => body.toString());
  expect(settings).toContain("application_name\0mine\0");
  expect(settings).toContain("server_encoding\0UTF8\0");
  expect(settings.find((setting) => setting.startsWith("server_version\0"))).toMatch(/\0\d+\.\d+/);
});

test(`six clients whose pipelines come in two pieces get their own rows (SEED=${runSeed})`, async () => {
  const random = new Random(runSeed);
  const { login } = await serve();
  const clients = await Promise.all(Array.from({ length: 6 }, login));
  const talk = async (client: WireClient, number: number): Promise<void> => {
    for (let n = 0; n < 25; n++) {
      const text = `client ${number}, query ${n}`;
      const batch = Buffer.concat([parse("", "select $1::text"), bind("", "", [text]), execute(""), sync()]);
      const at = 1 + random.below(batch.length - 1);
      client.send(batch.subarray(0, at));
      await new Promise((resolve) => setTimeout(resolve, random.below(3)));
      client.send(batch.subarray(at));
      expect(rows(await client.until("Z"))).toEqual([[text]]);
    }
  };
  await Promise.all(clients.map(talk));
});

test("a transaction is undivided: the others wait for its end", async () => {
  const { server, login } = await serve();
  const [one, other] = [await login(), await login()];
  await one.query("begin; insert into kept values (1)");
  other.send(query("select count(*) from kept where value = 1"));
  await waitUntil("the other one waits", () => server.getStats().queuedQueries === 1);
  await one.query("rollback");
  expect(rows(await other.until("Z"))).toEqual([["0"]]);
});

test("a pipeline is undivided: the others wait for its Sync", async () => {
  const { server, login } = await serve();
  const [one, other] = [await login(), await login()];
  one.send(parse("", "insert into kept values (2)"), bind("", ""), execute(""));
  await one.until("C");
  other.send(query("select count(*) from kept where value = 2"));
  await waitUntil("the other one waits", () => server.getStats().queuedQueries === 1);
  one.send(sync());
  await one.until("Z");
  expect(rows(await other.until("Z"))).toEqual([["1"]]);
});

test.each([
  ["a transaction", [query("begin; insert into kept values (3)")]],
  ["a pipeline", [parse("", "insert into kept values (3)"), bind("", ""), execute("")]],
  ["a failed transaction", [query("begin"), query("insert into kept values (3)"), query("select 1/0")]],
])("who goes in %s leaves nothing of it, and holds up nobody", async (_what, messages) => {
  const { server, login } = await serve();
  const [one, other] = [await login(), await login()];
  for (const part of messages) one.send(part);
  await waitUntil("it has run", () => server.getStats().queuedQueries === 0 && one.unread.length > 0);
  one.destroy();
  expect(rows(await other.query("select count(*) from kept where value = 3"))).toEqual([["0"]]);
  expect(await countOf(3)).toBe(0);
});

test("an exception of the engine (mocked) is told to its client; the others go on", async () => {
  const { login } = await serve({ db: failing(engine) });
  const [one, other] = [await login(), await login()];
  await one.query("begin; insert into kept values (4)");
  one.send(query(`select '${mark}'`));
  const end = await one.untilEnd();
  expect(types(end)).toBe("E");
  expect(errorFields(end)?.get("C")).toBe("XX000");
  expect(rows(await other.query("select count(*) from kept where value = 4"))).toEqual([["0"]]);
});

test("who idles in a transaction while others wait is ended, and only then", async () => {
  const { server, login } = await serve({ transactionIdleTimeout: 300, stallTimeout: 300 });
  const [one, other] = [await login(), await login()];
  await one.query("begin; insert into kept values (5)");
  await timeoutPassed(server);
  expect(one.ended).toBe(false);
  expect(rows(await other.query("select count(*) from kept where value = 5"))).toEqual([["0"]]);
  expect(errorFields(await one.untilEnd())?.get("C")).toBe("25P03");
});

test("a stop ends within its time, whoever waits", async () => {
  const { server, login } = await serve();
  const [one, other] = [await login(), await login()];
  await one.query("begin");
  other.send(query("select 1"));
  await waitUntil("the other one waits", () => server.getStats().queuedQueries === 1);
  await server.stop();
  expect(errorFields(await one.untilEnd())?.get("C")).toBe("57P01");
  expect(errorFields(await other.untilEnd())?.get("C")).toBe("57P01");
  expect(await countOf(1)).toBe(0);
});
