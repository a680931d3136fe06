/** `trace` of the library and `run --trace-on-failure`: what is in the file, and that it changes nothing for clients. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { startDevDb } from "../../src/index.ts";
import { runCli, temporaryDirectory } from "../support/cli-process.ts";
import { waitUntil } from "../support/wait-until.ts";
import { message, WireClient } from "../support/wire-client.ts";

const clients: WireClient[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.destroy();
});

interface Line {
  readonly c?: number;
  readonly d?: string;
  readonly m?: string;
  readonly b?: string;
  readonly p?: number;
  readonly s?: string;
  readonly on?: string;
}

function readLines(file: string): Line[] {
  return readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => JSON.parse(line));
}

test("a server records what clients send and get", async () => {
  const file = join(temporaryDirectory(), "one.trace");
  const db = await startDevDb({ port: 0, migrations: "none", trace: file });
  try {
    const client = await WireClient.login(db);
    clients.push(client);
    const sent = [
      message.query("create role r password 'secret'"),
      Buffer.concat([message.parse("", "select 'seen'"), message.bind("", ""), message.execute(""), message.sync()]),
    ];
    // The server gets the password that was sent, not the mask of the trace: an MD5 or SCRAM of it would tell.
    client.send(sent[0]!);
    await client.until("Z");
    await client.query("set password_encryption = 'md5'");
    await client.query("alter role r password 'secret'");
    const kept = await client.query(
      "select rolpassword = 'md5' || md5('secret' || 'r') from pg_authid where rolname = 'r'",
    );
    expect(kept.find(({ type }) => type === "D")!.body.toString("latin1", 6)).toBe("t");
    client.send(sent[1]!);
    await client.until("Z");
    await client.end();
  } finally {
    await db.close();
  }
  const all = readLines(file);
  const frontend = all.filter(({ d }) => d === "F").map(({ b }) => Buffer.from(b!, "base64").toString("latin1"));
  expect(frontend.filter((text) => text.includes("password 'secret'"))).toEqual([]);
  expect(all.find(({ m }) => m === "Parse Bind Execute Sync")!.b).toBe(
    Buffer.concat([
      message.parse("", "select 'seen'"),
      message.bind("", ""),
      message.execute(""),
      message.sync(),
    ]).toString("base64"),
  );
  expect(all.some(({ s }) => s === "turn")).toBe(true);
  // The first connection is the server's own, which looks whether clients are let in.
  expect(all.filter(({ d }) => d === "closed").map(({ c }) => c)).toEqual([1, 2]);
});

test("who waits for whom is in it", async () => {
  const file = join(temporaryDirectory(), "one.trace");
  const db = await startDevDb({ port: 0, migrations: "none", trace: file });
  try {
    const [ann, bob] = [await WireClient.login(db), await WireClient.login(db)];
    clients.push(ann, bob);
    await ann.query("create table seats (id int primary key); insert into seats values (1)");
    await ann.query("begin; update seats set id = 1");
    bob.send(message.query("update seats set id = 1"));
    await waitUntil("bob waits", () => readLines(file).some(({ on }) => on?.startsWith("lock of") === true));
    await ann.query("commit");
    await bob.until("Z");
  } finally {
    await db.close();
  }
  const all = readLines(file);
  const keys = all.filter(({ m, d }) => d === "B" && m?.includes("BackendKeyData"));
  const [, ann, bob] = keys.map(({ b }) => {
    const bytes = Buffer.from(b!, "base64");
    return bytes.readInt32BE(bytes.indexOf("K") + 5);
  });
  expect(all.filter(({ on }) => on?.startsWith("lock")).map(({ p, on }) => [p, on])).toContainEqual([
    bob,
    `lock of ${ann}`,
  ]);
});

test.each([
  ["keeps the trace of a command that fails", 3, true],
  ["removes that of one that does not", 0, false],
])("run --trace-on-failure %s", async (_, code, isKept) => {
  const cwd = temporaryDirectory();
  const command = [process.execPath, "-e", `process.exit(${code})`];
  const args = ["run", "--port", "0", "--migrations", "none", "--trace-on-failure", "fail.trace", "--", ...command];
  const end = await runCli(args, { cwd });
  expect(end.code).toBe(code);
  expect(existsSync(join(cwd, "fail.trace"))).toBe(isKept);
  expect(end.stderr.includes("pglite-devdb trace show fail.trace")).toBe(isKept);
});

test("a run that cannot start leaves no trace, and both kinds of trace at once are a usage error", async () => {
  const cwd = temporaryDirectory();
  const failing = ["run", "--port", "0", "--migrations", "no-such", "--trace-on-failure", "fail.trace", "--", "true"];
  expect((await runCli(failing, { cwd })).code).not.toBe(0);
  expect(existsSync(join(cwd, "fail.trace"))).toBe(false);
  const both = await runCli(["run", "--trace", "a", "--trace-on-failure", "b", "--", "true"], { cwd });
  expect(both).toMatchObject({ code: 2, stderr: expect.stringContaining("cannot be given together") });
});
