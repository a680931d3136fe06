/** A trace that ends too early says so; what a command was making when it ended is not there; a reset is a part of a trace. */
import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startDevDb } from "../../src/index.ts";
import { Recorder } from "../../src/trace/record/recorder.ts";
import { TraceOutput } from "../../src/trace/record/trace-output.ts";
import { encodeQuery } from "../../src/wire/frontend.ts";
import { runCli, temporaryDirectory } from "../support/cli-process.ts";
import { WireClient } from "../support/wire-client.ts";
import { login, makeTrace, reply } from "./support/made-trace.ts";

test("a trace that was cut off is shown and checked, and it is said", async () => {
  const file = await makeTrace((trace) => {
    login(trace, 1);
    trace.tap(1, "frontend", encodeQuery("select 1"));
    trace.tap(1, "backend", Buffer.concat([reply.columns("a"), reply.row("1"), reply.done("SELECT 1"), reply.ready()]));
  });
  expect(await runCli(["trace", "check", file])).toMatchObject({ code: 0, stderr: "" });
  const whole = readFileSync(file, "latin1");
  truncateSync(file, whole.lastIndexOf('{"t"'));
  const withoutEnd = `pglite-devdb: warning: ${file} is cut off, or written still: it has no end`;
  expect(await runCli(["trace", "check", file])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("nothing is wrong"),
    stderr: expect.stringContaining(withoutEnd),
  });
  truncateSync(file, whole.lastIndexOf('{"t"') - 10);
  expect(await runCli(["trace", "show", file])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('F Query "select 1"'),
    stderr: `pglite-devdb: warning: ${file} is cut off: its last line is not whole\n`,
  });
  // Of an earlier version, whose traces had no end.
  writeFileSync(file, whole.replace('"ends":true,', "").slice(0, whole.lastIndexOf('{"t"') - '"ends":true,'.length));
  expect(await runCli(["trace", "check", file])).toMatchObject({ code: 0, stderr: "" });
});

test("until a smaller trace is whole its place has what was there", async () => {
  const directory = temporaryDirectory();
  const file = join(directory, "a.min");
  const header = { began: Date.now(), by: "proxy" as const, versions: {}, settings: {} };
  const write = async (output: TraceOutput): Promise<void> => {
    const recorder = new Recorder({ file: output.begin(), limitBytes: 2 ** 30, header }, () => {});
    login(recorder, 1);
    await recorder.close();
  };
  writeFileSync(file, '{"trace":"pglite-devdb", the one before');
  const given = new TraceOutput(file, "trace shrink");
  await write(given);
  expect(readFileSync(file, "latin1")).toContain("the one before");
  given.end();
  expect(readdirSync(directory)).toEqual(["a.min"]);
  expect(() => given.begin()).toThrow("is not written any more");
  const kept = new TraceOutput(file, "trace shrink");
  await write(kept);
  kept.keep();
  kept.end();
  expect(readdirSync(directory)).toEqual(["a.min"]);
  expect(readFileSync(file, "latin1")).toMatch(/"end":true}\n$/);
});

test("a trace that cannot be made smaller leaves what is in the place of the smaller one", {
  tags: "long",
}, async () => {
  const cwd = temporaryDirectory();
  const trace = join(import.meta.dirname, "gallery", "same-named-statements.trace");
  const earlier = readFileSync(trace);
  writeFileSync(join(cwd, "min"), earlier);
  const end = await runCli(["trace", "shrink", trace, "--against", "isolated", "-o", "min"], { cwd });
  expect(end).toMatchObject({ code: 1, stdout: expect.stringContaining("it does not fail") });
  expect(readFileSync(join(cwd, "min"))).toEqual(earlier);
  expect(existsSync(join(cwd, "min.part"))).toBe(false);
});

test("a reset of the server is a part of its trace, and of the replay", { tags: "long" }, async () => {
  const file = join(temporaryDirectory(), "reset.trace");
  const db = await startDevDb({ port: 0, migrations: "none", resets: "on", trace: file });
  try {
    const client = await WireClient.login(db);
    await client.query("create table t (a int); insert into t values (1)");
    await db.reset();
    await client.query("create table t (a int); select count(*) from t");
    await client.end();
  } finally {
    await db.close();
  }
  expect((await runCli(["trace", "show", file])).stdout).toMatch(/ {2}\(reset of postgres\)\n/);
  const replayed = await runCli(["trace", "replay", file, "--against", "isolated"]);
  expect(replayed, replayed.stdout).toMatchObject({ code: 0, stderr: "" });
  expect(await runCli(["trace", "replay", file, "--against", "shared"])).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/the server was reset \(line \d+\), which only --against isolated can do/),
  });
});
