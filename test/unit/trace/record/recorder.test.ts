/** A trace as it is written: lines, passwords, its bound, files that it does not touch. */
import { existsSync, mkdtempSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openTrace } from "../../../../src/trace/read/trace-reader.ts";
import { traceEvents } from "../../../../src/trace/read/traced-messages.ts";
import { Recorder } from "../../../../src/trace/record/recorder.ts";
import { createTraceFile, removeTraceFile } from "../../../../src/trace/record/trace-file.ts";
import { encodeMessage, encodeParse, encodeQuery, encodeStartup, encodeSync } from "../../../../src/wire/frontend.ts";
import { waitUntil } from "../../../support/wait-until.ts";

const startup = encodeStartup({ user: "postgres" });

function fresh(): string {
  return join(mkdtempSync(join(tmpdir(), "trace-")), "one.trace");
}

function recorder(file: string, limitBytes = 2 ** 20): Recorder {
  const header = { began: Date.now(), by: "server" as const, versions: {}, settings: {} };
  return new Recorder({ file, limitBytes, header }, (sentence) => expect.fail(sentence));
}

interface Line {
  t: number;
  c: number;
  d: string;
  m: string;
  b: string;
}

function lines(file: string): Line[] {
  return readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => JSON.parse(line));
}

/** The bytes of a direction as the trace has them. */
function bytes(file: string, direction: string): Buffer {
  const all = lines(file).filter(({ d }) => d === direction);
  return Buffer.concat(all.map(({ b }) => Buffer.from(b, "base64")));
}

test("a line for each data event and each write, in their order, with their bytes", async () => {
  const file = fresh();
  createTraceFile(file, "--trace");
  const trace = recorder(file);
  trace.tap(1, "frontend", startup);
  trace.tap(1, "backend", encodeMessage("Z", Buffer.from("I")));
  trace.tap(1, "frontend", Buffer.concat([encodeParse("s", "select 1"), encodeSync()]));
  trace.decided(1001, "wait", "lock of 1002");
  trace.tap(1, "closed");
  await trace.close();
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(lines(file).map(({ t: _, b: __, ...rest }) => rest)).toEqual([
    { c: 1, d: "F", m: "StartupMessage" },
    { c: 1, d: "B", m: "ReadyForQuery" },
    { c: 1, d: "F", m: "Parse Sync" },
    { p: 1001, s: "wait", on: "lock of 1002" },
    { c: 1, d: "closed" },
    { end: true },
  ]);
  const said = [startup, encodeParse("s", "select 1"), encodeSync()];
  expect(bytes(file, "F")).toEqual(Buffer.concat(said));
});

const secrets = [
  encodeQuery("alter role a password 'sec''ret' valid until '2030-01-01'"),
  encodeQuery("ALTER ROLE a PASSWORD\n 'sec''ret'"),
  encodeQuery("alter role a password E'sec\\'ret'"),
  encodeQuery("alter role a password $x$secret$x$"),
  encodeParse("", "select * from users where password = 'sec' and name = 'x'"),
  encodeQuery("alter role a password -- said here\n 'secret'"),
  encodeQuery("alter role a password /* it */ 'secret'"),
  encodeQuery("do $$begin execute 'alter role a password ''secret'''; end$$"),
  encodeQuery("create subscription s connection 'host=h user=u password=secret dbname=d' publication p"),
  encodeQuery("-- it's\ncreate subscription s connection 'host=h password = secret' publication p"),
  encodeQuery("create subscription s connection 'password=sec\\ ret' publication p"),
  encodeQuery("create subscription s connection 'password=''sec ret'' host=h' publication p"),
  encodeQuery("create subscription s connection E'password=\\'sec ret\\' host=h' publication p"),
  encodeQuery("select dblink_connect($$host=h password=secret$$)"),
  encodeQuery("select dblink('postgresql://u:secret@h/d', 'select 1')"),
  encodeQuery("select dblink('postgres://h/d?user=u&password=secret&sslmode=require', 'select 1')"),
  encodeQuery("do $$begin execute 'create subscription s connection ''password=secret host=h'''; end$$"),
  encodeQuery("create user mapping for u server s options (user 'u', password 'secret')"),
  encodeMessage("p", "secret"),
];

test.each(secrets.map((message) => [message.toString("latin1").replaceAll("\0", "|"), message]))(
  "no password is in it, wherever it is cut: %j",
  async (_, message) => {
    for (let cut = 1; cut < message.length; cut++) {
      const file = fresh();
      createTraceFile(file, "--trace");
      const trace = recorder(file);
      trace.tap(1, "frontend", startup);
      trace.tap(1, "frontend", message.subarray(0, cut));
      trace.tap(1, "frontend", message.subarray(cut));
      trace.tap(1, "frontend", encodeQuery("select 'seen'"));
      await trace.close();
      const written = bytes(file, "F");
      expect(written.toString("latin1")).not.toMatch(/sec|ret/);
      // The messages are as long as they were, and what is no password is there.
      expect(written.length).toBe(startup.length + message.length + encodeQuery("select 'seen'").length);
      expect(written.includes("select 'seen'")).toBe(true);
    }
  },
);

test("a column that is called password hides no value of another", async () => {
  const file = fresh();
  createTraceFile(file, "--trace");
  const trace = recorder(file);
  const message = encodeQuery(
    "select password, 'seen' from users where password = $1 and name = 'seen' or password = lower(name) or password=name -- it's",
  );
  trace.tap(1, "frontend", startup);
  trace.tap(1, "frontend", message);
  await trace.close();
  expect(bytes(file, "F").subarray(startup.length)).toEqual(message);
});

test("a literal that is 'password' hides nothing behind it", async () => {
  const file = fresh();
  createTraceFile(file, "--trace");
  const trace = recorder(file);
  const message = encodeQuery("select 'password', 'seen'");
  trace.tap(1, "frontend", startup);
  trace.tap(1, "frontend", message);
  await trace.close();
  expect(bytes(file, "F").subarray(startup.length)).toEqual(message);
});

test("what is masked in the trace is not masked for the server", async () => {
  const file = fresh();
  createTraceFile(file, "--trace");
  const trace = recorder(file);
  const message = encodeQuery("alter role a password 'secret'");
  const sent = Buffer.from(message);
  trace.tap(1, "frontend", startup);
  trace.tap(1, "frontend", sent);
  await trace.close();
  expect(sent).toEqual(message);
});

test("the context of an error has a statement, and its password is hidden", async () => {
  const file = fresh();
  createTraceFile(file, "--trace");
  const trace = recorder(file);
  const context = `SQL statement "alter role a password 'secret'"`;
  trace.tap(1, "backend", encodeMessage("E", "SERROR", "C42704", `W${context}`, "Fuser.c", Buffer.from([0])));
  await trace.close();
  const written = bytes(file, "B").toString("latin1");
  expect(written).not.toContain("secret");
  expect(written).toContain("user.c");
});

test.each(["'secret", "E'secret", "$$secret", "U&'secret"])(
  "the error of an unterminated literal does not repeat the password: %s",
  async (literal) => {
    const file = fresh();
    createTraceFile(file, "--trace");
    const trace = recorder(file);
    const said = `Munterminated quoted string at or near "${literal}`;
    trace.tap(1, "frontend", startup);
    trace.tap(1, "frontend", encodeQuery(`alter role a password ${literal}`));
    trace.tap(1, "backend", encodeMessage("E", "SERROR", "C42601", `${said}"`, "P23", "Fscan.l", Buffer.from([0])));
    await trace.close();
    const written = bytes(file, "F").toString("latin1") + bytes(file, "B").toString("latin1");
    expect(written).not.toContain("secret");
    expect(written).toContain("scan.l");
  },
);

test("a line that no part of the file can hold is dropped", async () => {
  const file = fresh();
  createTraceFile(file, "--trace");
  const trace = recorder(file, 400_000);
  trace.tap(1, "frontend", startup);
  trace.tap(1, "frontend", encodeQuery("x".repeat(1_000_000)));
  trace.tap(1, "closed");
  await trace.close();
  expect(statSync(file).size).toBeLessThan(400_000);
  expect(readFileSync(file, "utf8")).toContain('{"dropped":1}');
});

test("what the other side of a login is asked is hidden, too", async () => {
  const file = fresh();
  createTraceFile(file, "--trace");
  const trace = recorder(file);
  const kinds = [0, 0, 0, 11];
  trace.tap(1, "backend", encodeMessage("R", Buffer.from(kinds), Buffer.from("r=nonce,s=salt,i=4096")));
  await trace.close();
  expect(bytes(file, "B").toString("latin1")).not.toMatch(/nonce|salt/);
});

test("it takes no more than its limit, and what is left of it says which part it is", async () => {
  const file = fresh();
  createTraceFile(file, "--trace");
  const limit = 400_000;
  const trace = recorder(file, limit);
  trace.tap(1, "frontend", startup);
  const written = () => Object.values(statSync(file)).join();
  for (let round = 0; round < 20; round++) {
    const before = written();
    for (let i = 0; i < 200; i++) trace.tap(1, "frontend", encodeQuery(`select ${round}, ${i}, '${"x".repeat(100)}'`));
    await waitUntil("some of the round is written", () => written() !== before);
  }
  await trace.close();
  const [old, last] = [`${file}.1`, file].map((name) => readFileSync(name, "utf8"));
  expect(old!.length + last!.length).toBeLessThanOrEqual(limit + 100_000);
  const [first, second] = [old!, last!].map((text) => JSON.parse(text.split("\n", 1)[0]!).part);
  expect(second).toBe(first + 1);
  expect(first).toBeGreaterThan(1);
});

test("a server that begins anew goes on in the next part, with connections of its own", async () => {
  const file = fresh();
  createTraceFile(file, "--trace");
  const began = Date.now();
  const open = () => {
    const header = { began, by: "server" as const, versions: {}, settings: {} };
    return new Recorder({ file, limitBytes: 2 ** 20, header }, (sentence) => expect.fail(sentence));
  };
  for (const sql of ["select 'before'", "select 'after'"]) {
    const trace = open();
    trace.tap(1, "frontend", startup);
    trace.tap(1, "frontend", encodeQuery(sql));
    await trace.close();
  }
  const trace = openTrace(file);
  expect(trace.isPartial).toBe(false);
  const queries = [...traceEvents(trace)].filter((event) => event.kind === "message" && event.name === "Query");
  expect(queries.map((event) => [event.kind === "message" && [event.connection, event.file, event.line]])).toEqual([
    [[1, `${file}.1`, 3]],
    [[2, file, 3]],
  ]);
});

test("what the buffer cannot hold is dropped, and the trace says how much", async () => {
  const file = fresh();
  createTraceFile(file, "--trace");
  const trace = recorder(file, 2 ** 30);
  const large = encodeQuery("x".repeat(1_000_000));
  trace.tap(1, "frontend", startup);
  // In one turn of the loop: the disk takes nothing meanwhile.
  for (let i = 0; i < 40; i++) trace.tap(1, "frontend", large);
  // There is place for what is to be told when the disk has taken some.
  await waitUntil("the disk takes it", () => statSync(file).size > large.length);
  trace.tap(1, "closed");
  await trace.close();
  const all = readFileSync(file, "utf8").trim().split("\n");
  const dropped = all.map((line) => JSON.parse(line).dropped ?? 0).reduce((sum, n) => sum + n, 0);
  expect(dropped).toBeGreaterThan(0);
  expect(all.filter((line) => line.includes('"m":"Query"')).length + dropped).toBe(40);
});

test("a file that is no trace is not overwritten; a trace is, and can be removed", () => {
  const file = fresh();
  writeFileSync(file, "my letters");
  expect(() => createTraceFile(file, "--trace")).toThrow(/--trace: .*one.trace is there and is not a trace/);
  removeTraceFile(file);
  expect(readFileSync(file, "utf8")).toBe("my letters");
  const beside = fresh();
  writeFileSync(`${beside}.1`, "my letters");
  expect(() => createTraceFile(beside, "--trace")).toThrow(/one.trace.1 is there and is not a trace/);
  expect(() => createTraceFile(join(file, "x"), "--trace")).toThrow(/--trace: cannot write/);
  const other = fresh();
  createTraceFile(other, "--trace");
  createTraceFile(other, "--trace");
  removeTraceFile(other);
  expect(existsSync(other)).toBe(false);
});
