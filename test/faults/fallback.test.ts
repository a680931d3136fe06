/**
 * The product where it has one session for all: what it still does, and what it says of that which it does not.
 *
 * Owns: the product around the library's queue, also as a program and on an older Node. Does not own: the queue (`../concurrency`), when
 * there is one session for all (`../cli/sessions.test.ts`).
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { beforeAll, describe, expect, onTestFinished, type TestContext, test } from "vitest";
import { executeSql } from "../../src/engine/execute-sql.ts";
import { ask, hear } from "../support/answer.ts";
import { runCli, startCli, temporaryDirectory } from "../support/cli-process.ts";
import { initializedDirectory, initializeTemplate } from "../support/data-directory.ts";
import { checkKillNine } from "../support/kill-nine.ts";
import { killEngine } from "../support/killed-engine.ts";
import { requireNodeWithoutParking } from "../support/other-node.ts";
import { unprepared } from "../support/pipelines.ts";
import { outline, ProductServer, productServer } from "../support/product-server.ts";
import { waitUntil } from "../support/wait-until.ts";
import { errorFields, message, WireClient } from "../support/wire-client.ts";

const { query, parse, bind, execute, flush, copyData, copyDone } = message;
const sessions = "shared";
/** Says that it has begun, and does not end. */
const endless = "do $$begin raise notice 'begun'; loop end loop; end$$";

beforeAll(initializeTemplate);

describe("clients of one session", () => {
  const server = productServer({
    sessions,
    listen: { transactionIdleTimeoutMs: 500, stallTimeoutMs: 250 },
    engine: { restore: (fresh) => executeSql(fresh, "create table t (n int)") },
  });
  const count = (n: number) => query(`select count(*) from t where n = ${n}`);
  const queued = async () => (await server.transport.stats()).queuedQueries;

  beforeAll(async () => {
    await (await server.login()).query("create table t (n int)");
  });

  test("get their own rows, have their own statements, and wait for each other's transactions", async () => {
    const [one, other] = [await server.login(), await server.login()];
    one.send(parse("s", "select 'of one'"), message.sync());
    other.send(parse("s", "select 'of the other'"), message.sync());
    expect([await hear(one), await hear(other)]).toEqual(["", ""]);
    const run = [bind("", "s"), execute(""), message.sync()];
    expect([await ask(one, run), await ask(other, run)]).toEqual(["of one", "of the other"]);
    await one.query("begin; insert into t values (1)");
    other.send(count(1));
    await waitUntil("the other one waits", async () => (await queued()) === 1);
    expect(await ask(one, [query("rollback")])).toBe("ROLLBACK");
    expect(await hear(other)).toBe("0");
    expect(await server.transport.stats()).toMatchObject({ activeConnections: 3, connections: [] });
  });

  test("copy in and out, while others work", async () => {
    const [one, other] = [await server.login(), await server.login()];
    one.send(query("copy t from stdin"));
    await one.until("G");
    one.send(copyData("2\n2"));
    expect(await ask(other, unprepared("select count(*) from t where n = 2"))).toBe("0");
    one.send(copyData("\n"), copyDone());
    expect(await hear(one)).toBe("COPY 2");
    expect(outline(await other.query("copy (select n from t where n = 2) to stdout"))).toBe("HddcCZI");
  });

  test.each([
    ["a transaction", [query("begin; insert into t values (3)")], "Z"],
    ["a failed transaction", [query("begin; insert into t values (3)"), query("selec")], "E"],
    ["a pipeline", [parse("", "insert into t values (3)"), bind("", ""), execute(""), flush()], "C"],
    ["a COPY", [query("copy t from stdin"), copyData("3\n")], "G"],
    ["a COPY in a transaction", [query("begin"), query("copy t from stdin"), copyData("3\n")], "G"],
    [
      "a statement of a transaction",
      [query(`begin; insert into t values (3); do $$begin raise notice 'begun'; perform pg_sleep(0.3); end$$`)],
      "N",
    ],
  ])("who is killed in %s leaves nothing of it, and the others go on", async (_, messages, last) => {
    const [gone, other] = [await server.login(), await server.login()];
    gone.send(...messages);
    await gone.until(last);
    other.send(count(3));
    gone.destroy();
    expect(await hear(other)).toBe("0");
  });

  test.each([
    ["idles in a transaction", [query("begin; insert into t values (4)")], "Z"],
    ["stops in a pipeline", [parse("", "insert into t values (4)"), bind("", ""), execute(""), flush()], "C"],
    ["stops in a COPY", [query("begin"), query("copy t from stdin"), copyData("4\n")], "G"],
    ["stops in a message", [count(4).subarray(0, 9)], ""],
  ])("who %s is ended, and the others go on", async (_, messages, last) => {
    const [staller, other] = [await server.login(), await server.login()];
    staller.send(...messages);
    if (last !== "") await staller.until(last);
    other.send(count(4));
    expect(await hear(other)).toBe("0");
    expect(errorFields(await staller.untilEnd())?.get("C")).toMatch(/^(25P03|57P05)$/);
  });

  test("who does not read in a transaction is ended, and the others go on", async () => {
    const [deaf, other] = [await server.login(), await server.login()];
    await deaf.query("begin; insert into t values (5)");
    deaf.socket.pause();
    const big = query("select repeat('x', 1000000) from generate_series(1, 30)");
    deaf.send(big, big);
    await waitUntil("it has an answer to read", () => deaf.socket.readableLength > 0);
    expect(await ask(other, [count(5)])).toBe("0");
  });

  test.each([
    ["COPY FROM STDIN in the extended protocol", unprepared("copy t from stdin"), "0A000"],
    ["COPY FROM STDIN in a string of several statements", [query("select 1; copy t from stdin")], "1 / 0A000"],
    ["an encoding that there is no conversion for", [query("set client_encoding to latin1")], "0A000"],
  ])("%s is refused, and the connection goes on", async (_, messages, code) => {
    const client = await server.login();
    expect(await ask(client, messages)).toBe(code);
    expect(await ask(client, [query("select 1")])).toBe("1");
  });

  test("there is one database, and the error says why", async () => {
    const client = await WireClient.connect(server.transport);
    client.send(message.startup({ user: "postgres", database: "nope" }));
    const error = errorFields(await client.untilEnd());
    expect(error?.get("C")).toBe("3D000");
    expect(error?.get("H")).toContain("one PostgreSQL session");
  });

  test("a CancelRequest is taken without a word, and ends nothing", async () => {
    const { client, processId, secretKey } = await server.loginWithKey();
    client.send(query("select pg_sleep(0.2)"));
    await server.cancel(processId, secretKey);
    expect(outline(await client.until("Z"))).toBe("TDCZI");
  });

  test("a crash (mocked) is told to all, and a new engine serves", async () => {
    const idle = await server.login();
    await idle.query("create table lost ()");
    const error = await killEngine(server);
    for (const told of [error, errorFields(await idle.untilEnd())]) expect(told?.get("C")).toMatch(/^57P0[12]$/);
    const next = await server.login();
    expect(await ask(next, [query("select to_regclass('lost'), to_regclass('t')")])).toBe("null|t");
  });
});

test.each(["memory", "directory"])("a stop ends beside a statement that does not, in %s", async (where) => {
  const dataDir = where === "directory" ? { engine: { dataDir: initializedDirectory() } } : {};
  const server = new ProductServer({ sessions, ...dataDir });
  await server.start();
  const client = await server.login();
  client.send(query(endless));
  await client.until("N");
  const ended = client.untilEnd();
  await server.stop();
  expect(outline(await ended)).toMatch(/^(E\(57P0.\))?$/);
});

describe.each([
  ["this Node", {}],
  ["an older Node", { tags: "long" }],
])("the program on %s", (name, options) => {
  const nodeFor = (context: TestContext) =>
    name === "this Node" ? {} : { node: requireNodeWithoutParking(context).path };

  async function start(db: string, settings: { node?: string; cwd?: string }, more = ["--migrations", "none"]) {
    const args = ["--port", "0", "-o", "json", "--db", db, "--sessions", sessions, ...more];
    const cli = startCli(args, settings);
    const ready = JSON.parse((await cli.line(/^\{.*\}\n/))[0]!) as { url: string; port: number; sessions: string };
    expect(ready.sessions).toBe(sessions);
    const sql = postgres(ready.url, { max: 2, onnotice: () => {} });
    onTestFinished(() => sql.end({ timeout: 1 }));
    return { cli, sql, port: ready.port };
  }

  test("applies migrations and serves two clients", options, async (context) => {
    const cwd = temporaryDirectory();
    mkdirSync(join(cwd, "migrations"));
    writeFileSync(join(cwd, "migrations/1_people.sql"), "create table people (name text primary key);");
    const { cli, sql } = await start("memory://", { ...nodeFor(context), cwd }, []);
    await Promise.all(["Ann", "Bob"].map((name) => sql.begin((tx) => tx`insert into people ${tx({ name })}`)));
    expect(await sql`select name from people order by 1`).toEqual([{ name: "Ann" }, { name: "Bob" }]);
    cli.child.kill("SIGTERM");
    expect((await cli.ended).code).toBe(143);
  });

  test("has what was committed after kill -9, and its directory for itself", options, async (context) => {
    const db = initializedDirectory();
    const settings = nodeFor(context);
    const { cli, sql, port } = await start(db, settings);
    await sql`create table t as select generate_series(1, 1000) n`;
    const open = await WireClient.login({ port });
    await open.query("begin; insert into t values (0)");
    const second = await runCli(["--port", "0", "--db", db, "--sessions", sessions], settings);
    expect([second.code, second.stderr]).toEqual([expect.toSatisfy((code) => code !== 0), expect.stringContaining(db)]);
    cli.child.kill("SIGKILL");
    await cli.ended;
    const again = await start(db, settings);
    expect(await again.sql`select count(*)::int, min(n) from t`).toEqual([{ count: 1000, min: 1 }]);
    again.cli.child.kill("SIGTERM");
    expect((await again.cli.ended).code).toBe(143);
  });

  test("ends with SIGTERM beside a statement that does not", options, async (context) => {
    const { cli, port } = await start("memory://", nodeFor(context));
    const client = await WireClient.login({ port });
    client.send(query(endless));
    await client.until("N");
    cli.child.kill("SIGTERM");
    expect((await cli.ended).code).toBe(143);
    await client.untilEnd();
  });
});

test("kill -9 under load loses nothing that was answered", { tags: "long" }, () =>
  checkKillNine(sessions, "off", 2, 0),
);
