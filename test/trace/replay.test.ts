/** `trace replay`: what was recorded comes again, here and on a real PostgreSQL, and a difference is shown. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { startDevDb } from "../../src/index.ts";
import { runCli } from "../support/cli-process.ts";
import { findRealPostgres, howToGetOne, startRealPostgres } from "../support/real-postgres.ts";
import { waitUntil } from "../support/wait-until.ts";
import { message, WireClient } from "../support/wire-client.ts";
import { mixedSuite } from "./support/mixed-suite.ts";

let file: string;

/** A suite with waits for locks, a deadlock, a serialization failure, timeouts, a cancel, NOTIFY, COPY and pipelines cut anywhere. */
beforeAll(async () => {
  file = join(mkdtempSync(join(tmpdir(), "pglite-devdb-replay-")), "suite.trace");
  const db = await startDevDb({ port: 0, migrations: "none", trace: file });
  try {
    await suite(db);
  } finally {
    await db.close();
  }
});

afterAll(() => rmSync(dirname(file), { recursive: true }));

async function suite(db: { readonly host: string; readonly port: number }): Promise<void> {
  const [ann, bob] = [await WireClient.login(db), await WireClient.login(db)];
  await ann.query(
    "create table seats (id int primary key, taken text, at timestamptz default now()); insert into seats select g from generate_series(1, 5) g",
  );
  // Bob waits for Ann, then both wait for each other. Whose check comes first must not be a matter of time.
  await ann.query("set deadlock_timeout = '20ms'; begin; update seats set taken = 'ann' where id = 1");
  await bob.query("set deadlock_timeout = '60s'; begin; update seats set taken = 'bob' where id = 2");
  bob.send(message.query("update seats set taken = 'bob' where id = 1"));
  await waitUntil("bob waits", () => readFileSync(file, "utf8").includes("lock of"));
  await ann.query("select 1");
  ann.send(message.query("update seats set taken = 'ann' where id = 2"));
  await bob.until("Z");
  await ann.until("Z");
  await bob.query("rollback");
  await ann.query("commit");
  for (const client of [ann, bob])
    await client.query("begin isolation level serializable; select count(taken) from seats");
  await ann.query("update seats set taken = 'a' where id = 3; commit");
  await bob.query("update seats set taken = 'b' where id = 3");
  await bob.query("rollback");
  await ann.query("set statement_timeout = 100; select pg_sleep(5)");
  await ann.query("reset statement_timeout; listen jobs");
  await bob.query("notify jobs, 'one'");
  await ann.query("select now(), random() * 0, gen_random_uuid(), pg_current_xact_id(), at from seats where id = 1");
  const pipeline = Buffer.concat([
    message.parse("p", "select $1::text, taken from seats order by id"),
    message.describe("S", "p"),
    message.bind("", "p", ["x"]),
    message.execute("", 2),
    message.sync(),
  ]);
  for (let at = 0; at < pipeline.length; at += 7) {
    ann.send(pipeline.subarray(at, at + 7));
    bob.send(pipeline.subarray(at, at + 7));
    // The pieces come one by one, as from a slow network.
    await delay(2);
  }
  await Promise.all([ann.until("Z"), bob.until("Z")]);
  bob.send(message.query("copy seats (id, taken) from stdin"));
  await bob.until("G");
  bob.send(message.copyData("9\tcopied\n"), message.copyDone());
  await bob.until("Z");
  const { client, pid, key } = await keyed(db);
  const sleep = message.query("select pg_sleep(60)");
  client.send(sleep);
  // A client that asked whether it runs would be in the trace, so the trace has to tell.
  const told = sleep.toString("base64");
  await waitUntil("the server has the statement", () => readFileSync(file, "utf8").includes(told));
  const cancel = await WireClient.connect(db);
  cancel.send(message.cancelRequest(pid, key));
  await client.until("Z");
  await Promise.all([ann.end(), bob.end(), client.end()]);
}

async function keyed(db: { readonly port: number }) {
  const client = await WireClient.connect(db);
  client.send(message.startup({ user: "postgres", database: "postgres" }));
  const { body } = (await client.until("Z")).find(({ type }) => type === "K")!;
  return { client, pid: body.readInt32BE(0), key: Buffer.from(body.subarray(4)) };
}

test("it comes again on a new server of ours, again and again", { tags: "long" }, async () => {
  for (let round = 0; round < 3; round++) {
    const end = await runCli(["trace", "replay", file, "--against", "isolated"]);
    expect(end, end.stdout).toMatchObject({ code: 0, stderr: "" });
    expect(end.stdout).toMatch(/\d+ steps: the answers of isolated sessions are those that were recorded/);
  }
});

test.skipIf(!findRealPostgres())(`and on a real PostgreSQL (without one: ${howToGetOne})`, async () => {
  const real = await startRealPostgres();
  onTestFinished(() => real.stop());
  const end = await runCli([
    "trace",
    "replay",
    file,
    "--against",
    `postgresql://postgres@127.0.0.1:${real.port}/postgres`,
  ]);
  expect(end, end.stdout).toMatchObject({ code: 0, stderr: "" });
});

describe("the traffic of drivers comes again", () => {
  let drivers: string;
  beforeAll(async () => {
    drivers = file.replace("suite", "drivers");
    const db = await startDevDb({ port: 0, migrations: "none", trace: drivers });
    await mixedSuite(db.port).finally(() => db.close());
  });

  test("on a new server of ours", async () => {
    const end = await runCli(["trace", "replay", drivers, "--against", "isolated"]);
    expect(end, end.stdout).toMatchObject({ code: 0, stderr: "" });
  });

  test.skipIf(!findRealPostgres())(`on a real PostgreSQL (without one: ${howToGetOne})`, async () => {
    const real = await startRealPostgres();
    onTestFinished(() => real.stop());
    const url = `postgresql://postgres@127.0.0.1:${real.port}/postgres`;
    const end = await runCli(["trace", "replay", drivers, "--against", url]);
    expect(end, end.stdout).toMatchObject({ code: 0, stderr: "" });
  });
});

test("a password that the server asks for is that of the URL", { tags: "long" }, async () => {
  const db = await startDevDb({ port: 0, migrations: "none", password: "right" });
  onTestFinished(() => db.close());
  const url = (password: string) => `postgresql://postgres:${password}@127.0.0.1:${db.port}/postgres`;
  expect(await runCli(["trace", "replay", file, "--against", url("right")])).toMatchObject({ code: 0 });
  const wrong = await runCli(["trace", "replay", file, "--against", url("wrong")]);
  expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining("lets nobody in") });
});

test("a difference is shown with both sides and its line, and is exit 1", async () => {
  const lines = readFileSync(file, "utf8").split("\n");
  const at = lines.findIndex(
    (line) => line.includes('"d":"B"') && Buffer.from(JSON.parse(line).b, "base64").includes("INSERT 0 5"),
  );
  const record = JSON.parse(lines[at]!);
  const bytes = Buffer.from(record.b, "base64");
  bytes.write("INSERT 0 4", bytes.indexOf("INSERT 0 5"), "latin1");
  const changed = file.replace("suite", "changed");
  writeFileSync(changed, lines.with(at, JSON.stringify({ ...record, b: bytes.toString("base64") })).join("\n"));
  const end = await runCli(["trace", "replay", changed, "--against", "isolated"]);
  expect(end.code).toBe(1);
  expect(end.stdout).toContain(`changed.trace:${at + 1}, connection 2 after Query "create table seats`);
  expect(end.stdout).toMatch(/recorded {2}CommandComplete "INSERT 0 4"\n {2}replayed {2}CommandComplete "INSERT 0 5"/);
});

test("a server with one session for all answers what was recorded with sessions of their own otherwise", {
  tags: "long",
}, async () => {
  const end = await runCli(["trace", "replay", file, "--against", "shared"]);
  expect(end.code).toBe(1);
  expect(end.stdout).toContain("first difference: ");
});

test("what cannot be replayed is said", async () => {
  const [header = "", ...lines] = readFileSync(file, "utf8").split("\n");
  const other = file.replace("suite", "partial");
  writeFileSync(other, [header.replace('"part":1', '"part":3'), ...lines].join("\n"));
  expect(await runCli(["trace", "replay", other, "--against", "isolated"])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("beginning of this trace was dropped"),
  });
  writeFileSync(other, [header, '{"dropped":7}', ...lines].join("\n"));
  expect(await runCli(["trace", "replay", other, "--against", "isolated"])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("7 records of this trace are missing"),
  });
  expect(await runCli(["trace", "replay", file])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("say against what"),
  });
  expect(await runCli(["trace", "replay", file, "--against", "mysql"])).toMatchObject({ code: 2 });
});
