/** `trace check`: red on what the stock library does, green on what PostgreSQL does. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { freePort } from "../../src/dev-db/servers/free-port.ts";
import { startDevDb } from "../../src/index.ts";
import { checkTrace } from "../../src/trace/check/check.ts";
import { openTrace } from "../../src/trace/read/trace-reader.ts";
import { pipelineShapes } from "../../src/trace/storm/shapes.ts";
import { runStorm } from "../../src/trace/storm.ts";
import {
  encodeBind,
  encodeDescribe,
  encodeExecute,
  encodeMessage,
  encodeParse,
  encodeQuery,
  encodeStartup,
  encodeSync,
} from "../../src/wire/frontend.ts";
import { runCli, startCli, temporaryDirectory } from "../support/cli-process.ts";
import { findRealPostgres, howToGetOne, startRealPostgres } from "../support/real-postgres.ts";
import { WireClient } from "../support/wire-client.ts";
import { login, makeTrace, reply } from "./support/made-trace.ts";
import { mixedSuite } from "./support/mixed-suite.ts";
import { recordBefore, startStock } from "./support/recorded.ts";

const seed = 1 + Math.floor(Math.random() * 1e6);

/** As `connection kind sentence`. */
function findings(file: string): string[] {
  return [...checkTrace(openTrace(file))].map(({ connection, kind, sentence }) => `${connection} ${kind}: ${sentence}`);
}

/** What one client and the server say; each of them after the other. */
function conversation(...said: readonly (readonly [client: Buffer[], server: Buffer[]])[]): Promise<string> {
  return makeTrace((trace) => {
    login(trace, 1);
    for (const [client, server] of said) {
      trace.tap(1, "frontend", Buffer.concat(client));
      if (server.length > 0) trace.tap(1, "backend", Buffer.concat(server));
    }
  });
}

const asked = (sql: string, ...values: string[]) => [
  ...[encodeParse("", sql), encodeBind("", "", values), encodeDescribe("P", ""), encodeExecute(""), encodeSync()],
];
const described = [reply.parsed, reply.bound, reply.columns("a")];

test.each([
  [
    "a reply too early",
    [[asked("select 1"), [reply.parsed, reply.ready()]]],
    "torn pipeline: got ReadyForQuery where the reply to Bind was due",
  ],
  ["one ReadyForQuery too many", [[[encodeSync()], [reply.ready(), reply.ready()]]], "ReadyForQuery count"],
  [
    "a row that nobody asked for",
    [[[encodeSync()], [reply.ready(), reply.row("1")]]],
    "foreign answer: got DataRow, and had asked for nothing",
  ],
  [
    "more columns than described",
    [[asked("select 1"), [...described, reply.row("1", "2")]]],
    "foreign answer: got a row with 2 columns, where 1 were described",
  ],
  [
    "the end of another statement",
    [[asked("select 1"), [...described, reply.done("INSERT 0 1")]]],
    'foreign answer: got "INSERT 0 1" as the end of',
  ],
  [
    "parameters of another statement",
    [
      [
        asked("select $1, $2", "a", "b"),
        [
          reply.parsed,
          reply.error("08P01", 'bind message supplies 2 parameters, but prepared statement "" requires 5'),
        ],
      ],
    ],
    'foreign answer: got "bind message',
  ],
  [
    "a transaction of somebody else",
    [[[encodeQuery("select 1")], [reply.done("SELECT 1"), reply.ready("T")]]],
    "leaked state: is in a transaction that it has not begun",
  ],
  [
    "a transaction that somebody else has ended",
    [
      [[encodeQuery("begin")], [reply.done("BEGIN"), reply.ready("T")]],
      [[encodeQuery("select 1")], [reply.done("SELECT 1"), reply.ready("I")]],
    ],
    "leaked state: is in no transaction any more",
  ],
  [
    "a name that somebody else has taken",
    [[[encodeParse("s1", "select 1")], [reply.error("42P05", 'prepared statement "s1" already exists')]]],
    "leaked state: got",
  ],
  [
    "a notification without LISTEN",
    [[[encodeSync()], [encodeMessage("A", Buffer.alloc(4), "jobs", "")]]],
    "foreign answer: got a notification",
  ],
] as const)("%s is found", async (_, said, sentence) => {
  const [finding, ...more] = findings(await conversation(...(said as never as [Buffer[], Buffer[]][])));
  expect(finding).toContain(sentence);
  expect(more).toEqual([]);
});

test("an answer to somebody else's question is found, with whose it is", async () => {
  const file = await makeTrace((trace) => {
    login(trace, 1);
    login(trace, 2);
    trace.tap(1, "frontend", Buffer.concat(asked("select $1::text", "for the first")));
    trace.tap(2, "frontend", Buffer.concat(asked("select $1::text", "for the second")));
    trace.tap(
      1,
      "backend",
      Buffer.concat([...described, reply.row("for the second"), reply.done("SELECT 1"), reply.ready()]),
    );
  });
  expect(findings(file)).toEqual([expect.stringContaining('got "for the second", which connection 2 had asked for')]);
});

test("a setting of somebody else is found, one of its own is not", async () => {
  const show = (trace: Parameters<Parameters<typeof makeTrace>[0]>[0], connection: number, value: string) => {
    trace.tap(connection, "frontend", encodeQuery("show search_path"));
    trace.tap(
      connection,
      "backend",
      Buffer.concat([reply.columns("search_path"), reply.row(value), reply.done("SHOW"), reply.ready()]),
    );
  };
  const file = await makeTrace((trace) => {
    login(trace, 1);
    login(trace, 2);
    show(trace, 1, '"$user", public');
    trace.tap(2, "frontend", encodeQuery("set search_path to audit, public"));
    trace.tap(2, "backend", Buffer.concat([reply.done("SET"), reply.ready()]));
    show(trace, 2, "audit, public");
    show(trace, 1, "audit, public");
  });
  expect(findings(file)).toEqual([
    '1 leaked state: sees search_path = "audit, public", which connection 2 has set and it has not',
  ]);
});

/** Connection 2 says `left` and is answered; then connection 1 says `sql` and gets the error. */
function leak(
  left: readonly string[],
  sql: string,
  error: readonly [string, string],
  options?: string,
): Promise<string> {
  return makeTrace((trace) => {
    const startup = { user: "postgres", ...(options === undefined ? {} : { options }) };
    trace.tap(1, "frontend", encodeStartup(startup));
    trace.tap(1, "backend", Buffer.concat([reply.authenticated, reply.key(1001), reply.ready()]));
    login(trace, 2);
    for (const each of left) {
      trace.tap(2, "frontend", encodeQuery(each));
      trace.tap(
        2,
        "backend",
        Buffer.concat([reply.done(each.startsWith("create") ? "CREATE TABLE" : "SET"), reply.ready()]),
      );
    }
    trace.tap(1, "frontend", encodeQuery(sql));
    trace.tap(1, "backend", Buffer.concat([reply.error(...error), reply.ready()]));
  });
}

const readOnly = ["25006", "cannot execute INSERT in a read-only transaction"] as const;
const late = ["57014", "canceling statement due to statement timeout"] as const;
const taken = ["42P07", 'relation "scratch" already exists'] as const;
const insert = "insert into t values (1)";

test.each([
  [["set default_transaction_read_only = on"], insert, readOnly],
  [["set session characteristics as transaction read only"], insert, readOnly],
  [["set statement_timeout to '50ms'"], "select pg_sleep(1)", late],
  [["set lock_timeout = 50"], "lock table t", ["55P03", "canceling statement due to lock timeout"]],
  [["create temp table scratch (n int)"], "create temporary table scratch (n int)", taken],
] as const)("a consequence of %s in another session is found", async (left, sql, error) => {
  for (const options of [undefined, "-c application_name=a"])
    expect(findings(await leak(left, sql, error, options))).toEqual([
      expect.stringMatching(new RegExp(`^1 leaked state: got ".*" \\(${error[0]}\\), but connection 2 has `)),
    ]);
});

test.each([
  ["nobody has set it", [], insert, readOnly, undefined],
  [
    "it begins so itself",
    ["set default_transaction_read_only = on"],
    `begin read only; ${insert}`,
    readOnly,
    undefined,
  ],
  ["its options say so", ["set statement_timeout = 50"], "select pg_sleep(1)", late, "-c statement_timeout=50"],
  ["its options say so in one word", ["set statement_timeout = 50"], "select 1", late, "--statement_timeout=50"],
  ["the other one has reset it", ["set statement_timeout = 50", "reset all"], "select pg_sleep(1)", late, undefined],
  ["the other one has set it for a transaction", ["set local statement_timeout = 50"], "select 1", late, undefined],
  ["a table of that name", ["create temp table other (n int)"], "create temp table scratch (n int)", taken, undefined],
  [
    "roles have settings",
    ["set lock_timeout = 5; alter role a set lock_timeout = 5"],
    "lock t",
    ["55P03", "canceling statement due to lock timeout"],
    undefined,
  ],
] as const)("no consequence of another session: %s", async (_, left, sql, error, options) => {
  expect(findings(await leak(left, sql, error, options))).toEqual([]);
});

test("nothing is found in what our server does: storms, and whatever the protocol allows", async () => {
  const db = await startDevDb({ port: 0, migrations: "none" });
  onTestFinished(() => db.close());
  const recorded = await recordBefore(db.port);
  await runStorm({ host: "127.0.0.1", port: recorded.port }, { seed, queries: 200 });
  await mixedSuite(recorded.port);
  expect(findings(await recorded.stop())).toEqual([]);
});

test.skipIf(!findRealPostgres())(
  `nothing is found in what a real PostgreSQL does (without one: ${howToGetOne})`,
  async () => {
    const real = await startRealPostgres();
    onTestFinished(() => real.stop());
    const recorded = await recordBefore(real.port);
    await runStorm({ host: "127.0.0.1", port: recorded.port }, { seed, queries: 200 });
    await mixedSuite(recorded.port);
    expect(findings(await recorded.stop())).toEqual([]);
  },
);

test("a setting that a role has by itself is nobody else's", async () => {
  const shown = (value: string) => [reply.columns("search_path"), reply.row(value), reply.done("SHOW"), reply.ready()];
  const file = await makeTrace((trace) => {
    for (const [connection, user] of [
      [1, "ann"],
      [2, "ann"],
      [3, "bob"],
    ] as const) {
      trace.tap(connection, "frontend", encodeStartup({ user, database: "app" }));
      trace.tap(connection, "backend", Buffer.concat([reply.authenticated, reply.ready()]));
    }
    trace.tap(1, "frontend", encodeQuery("show search_path"));
    trace.tap(1, "backend", Buffer.concat(shown("public")));
    trace.tap(2, "frontend", encodeQuery("set search_path to audit"));
    trace.tap(2, "backend", Buffer.concat([reply.done("SET"), reply.ready()]));
    trace.tap(3, "frontend", encodeQuery("show search_path"));
    trace.tap(3, "backend", Buffer.concat(shown("audit")));
  });
  expect(findings(file)).toEqual([]);
});

test("a storm on the stock library: exit 1, and the first finding names its line", { tags: "long" }, async () => {
  const stock = await startStock();
  const recorded = startCli([
    "trace",
    "record",
    "stock.trace",
    "--listen",
    "0",
    "--upstream",
    `postgresql://127.0.0.1:${stock}`,
  ]);
  const [, port, file] = await recorded.line(/recording 127\.0\.0\.1:(\d+) into (\S+);/);
  await runStorm(
    { host: "127.0.0.1", port: Number(port) },
    { seed, queries: 60, shapes: pipelineShapes, splits: ["flush"], silenceMs: 3000 },
  );
  recorded.child.kill("SIGINT");
  expect((await recorded.ended).code).toBe(0);
  const end = await runCli(["trace", "check", file!]);
  expect(end.code, `seed ${seed}`).toBe(1);
  expect(end.stdout).toMatch(/foreign answer: connection \d+ got/);
  const line = Number(/:(\d+) {2}/.exec(end.stdout)![1]);
  expect(JSON.parse(readFileSync(file!, "utf8").split("\n")[line - 1]!)).toMatchObject({ d: "B" });
});

test("settings leak from one client of the stock library to another", { tags: "long" }, async () => {
  const recorded = await recordBefore(await startStock());
  const [ann, bob] = [await WireClient.login(recorded), await WireClient.login(recorded)];
  await ann.query("show search_path");
  await bob.query("set search_path to audit");
  await ann.query("show search_path");
  await Promise.all([ann.end(), bob.end()]);
  expect(findings(await recorded.stop())).toEqual([expect.stringContaining("leaked state: sees search_path")]);
});

test("a proxy that nobody told where to is a usage error", { tags: "long" }, async () => {
  for (const args of [
    ["x", "--listen", "0"],
    ["x", "--listen", "0", "--upstream", "http://localhost"],
    ["--listen", "0", "--upstream", "postgresql://localhost"],
  ]) {
    expect(await runCli(["trace", "record", ...args])).toMatchObject({ code: 2, stdout: "" });
  }
});

test("a proxy says that its port is taken, and that there is no server for a client", { tags: "long" }, async () => {
  const nobody = await freePort();
  const flags = ["--upstream", `postgresql://127.0.0.1:${nobody}`];
  const proxy = startCli(["trace", "record", "one.trace", "--listen", "0", ...flags]);
  const [, port] = await proxy.line(/recording 127\.0\.0\.1:(\d+)/);
  const cwd = temporaryDirectory();
  const second = await runCli(["trace", "record", "two.trace", "--listen", port!, ...flags], { cwd });
  expect(second).toMatchObject({ code: 4, stdout: "", stderr: `pglite-devdb: --listen: port ${port} is taken\n` });
  expect(readdirSync(cwd)).toEqual([]);
  const client = await WireClient.connect({ port: Number(port) });
  await client.untilEnd();
  proxy.child.kill("SIGINT");
  expect((await proxy.ended).stderr).toContain("a client was not served: connect ECONNREFUSED");
});
