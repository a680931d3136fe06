/** A trace that cannot be written any more, and the end of one. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import postgres from "postgres";
import { expect, onTestFinished, test } from "vitest";
import { Recorder } from "../../src/trace/record/recorder.ts";
import { createTraceFile } from "../../src/trace/record/trace-file.ts";
import { temporaryDirectory } from "../support/cli-process.ts";
import { waitUntil } from "../support/wait-until.ts";

const cli = join(import.meta.dirname, "../../dist/cli.js");

test.skipIf(process.platform === "win32")(
  "a disk that refuses a trace is an error at once, and again at the end",
  async () => {
    const cwd = temporaryDirectory();
    // A limit on the length of files stands for a full disk.
    const args = ["--port", "0", "-o", "json", "--migrations", "none", "--no-cache", "--trace", "t.trace"];
    const server = spawn("sh", ["-c", 'ulimit -f 128; exec "$@"', "sh", process.execPath, cli, ...args], {
      cwd,
      stdio: ["ignore", "pipe", "pipe"],
    });
    onTestFinished(() => void server.kill("SIGKILL"));
    let stderr = "";
    server.stderr.on("data", (text) => {
      stderr += String(text);
    });
    const { url } = JSON.parse(
      await new Promise<string>((resolve) => createInterface({ input: server.stdout }).once("line", resolve)),
    );
    const sql = postgres(url, { max: 1 });
    await sql`select ${"x".repeat(300_000)}::text`;
    await waitUntil("it is said", () => /error: the trace .*t\.trace ends here: /.test(stderr));
    expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
    await sql.end();
    const ended = new Promise((resolve) => void server.once("close", resolve));
    server.kill("SIGTERM");
    await ended;
    expect(stderr).toMatch(/error: the trace .*t\.trace lacks the messages after \d\d:\d\d:\d\d\n/);
  },
);

test("nothing is written behind the end of a trace", async () => {
  const file = join(temporaryDirectory(), "t.trace");
  createTraceFile(file, "--trace");
  const header = { began: Date.now(), by: "proxy" as const, versions: { node: process.versions.node }, settings: {} };
  const recorder = new Recorder({ file, limitBytes: 1024 ** 2, header }, () => {});
  recorder.tap(1, "closed");
  const closed = recorder.close();
  recorder.tap(2, "closed");
  await closed;
  const lines = readFileSync(file, "latin1").trimEnd().split("\n");
  expect(lines).toHaveLength(3);
  expect(lines.at(-1)).toContain('"end":true');
});
