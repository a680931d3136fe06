/**
 * `pglite-devdb repro` as it is built: what it shows, what it exits with, and that it leaves no process behind.
 *
 * Owns: the command from outside. Does not own: the counting (`test/unit/trace`).
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { openTrace } from "../../src/trace/read/trace-reader.ts";
import { readScript } from "../../src/trace/replay/script.ts";
import { sizeOf } from "../../src/trace/shrink/pieces.ts";
import { runCli, temporaryDirectory } from "../support/cli-process.ts";
import { waitUntil } from "../support/wait-until.ts";

const cli = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
const seed = "12";
const started: ChildProcess[] = [];
// Two engines boot at once in each of these, which takes long on a busy machine.
const limitMs = 180_000;

afterEach(() => {
  for (const child of started.splice(0)) if (child.exitCode === null) child.kill("SIGKILL");
});

function start(...args: string[]) {
  // A group of its own: Ctrl-C in a terminal goes to all of it.
  const child = spawn(process.execPath, [cli, "repro", ...args], { detached: true, stdio: ["ignore", "pipe", "pipe"] });
  started.push(child);
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name]!.setEncoding("utf8").on("data", (text: string) => {
      output[name] += text;
    });
  }
  const closed = once(child, "close").then(([code]) => ({ code: code as number, ...output }));
  return { child, output, closed };
}

/** The processes of a group that are running, by /proc. */
function processesOf(group: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
        return Number(fields[2]) === group && fields[0] !== "Z";
      } catch {
        return false;
      }
    });
}

test("it shows the corruption of the stock library and none of ours, and exits with 0", async () => {
  const { closed } = start("--seconds", "3", "--seed", seed, "-o", "json");
  const { code, stdout, stderr } = await closed;
  const report = JSON.parse(stdout);
  expect(report.patched).toMatchObject({ corrupted: 0, refusedLogins: 0 });
  expect(report.patched.total).toBeGreaterThan(0);
  expect(report.stock.kinds.wrongRows).toBeGreaterThan(0);
  expect(report.stock.corrupted / report.stock.total).toBeGreaterThan(0.1);
  expect(report).toMatchObject({ ok: true, seed: Number(seed), clients: 6 });
  expect(stderr).toContain("repro: stock: ");
  expect(stderr).not.toContain("\u001b");
  expect(code).toBe(0);
});

test("--trace keeps the first wrong answer as a few messages, which fail again each time", {
  tags: "long",
}, async () => {
  const file = join(temporaryDirectory(), "wrong.trace");
  const { code, stdout, stderr } = await start("--seconds", "3", "--seed", seed, "--trace", file).closed;
  expect(stderr).toContain("fails 20 of 20 times against the stock library");
  expect(sizeOf(readScript(openTrace(file)).steps).frames).toBeLessThanOrEqual(12);
  const commands = [...stdout.matchAll(/^ {2}npx pglite-devdb (trace .*?) {2,}/gm)].map(([, words]) =>
    words!.split(" "),
  );
  const codes = await Promise.all(commands.map(async (words) => (await runCli(words)).code));
  expect([code, ...codes]).toEqual([0, 0, 1, 0, 1]);
});

test("with one client nothing can be corrupted, so it exits with 1 and says which was not so", {
  tags: "long",
}, async () => {
  const stockIsRight = /The stock library corrupted none of \d+ queries/;
  for (let attempts = 1; ; attempts++) {
    const { closed } = start("--seconds", "1", "--clients", "1", "--split", "whole", "--seed", seed);
    const { code, stdout } = await closed;
    expect(stdout).toMatch(/corrupted \/ total +\d+ \/ \d+ \(\d+\.\d %\) +0 \/ \d+ \(0\.0 %\)/);
    // On a busy machine the stock library may fail a client that is alone, too.
    if (!stockIsRight.test(stdout) && attempts < 5) continue;
    expect(stdout).toMatch(stockIsRight);
    expect(code).toBe(1);
    break;
  }
});

test.runIf(process.platform === "linux").each([
  ["while the servers start", "starting a server"],
  ["in the middle of a storm", "repro: stock: "],
  ["while the trace gets smaller", "up to a finding"],
])("Ctrl-C %s leaves nothing running and exits with 130", { tags: "long" }, async (when, sign) => {
  const file = join(temporaryDirectory(), "wrong.trace");
  const isLate = when.includes("smaller");
  const { child, output, closed } = start("--seconds", isLate ? "2" : "60", "--seed", seed, "--trace", file);
  await waitUntil(`stderr has "${sign}"`, () => output.stderr.includes(sign), limitMs);
  await waitUntil("it and its servers run", () => processesOf(child.pid!).length === (isLate ? 2 : 3));
  process.kill(-child.pid!, "SIGINT");
  expect((await closed).code).toBe(128 + constants.signals.SIGINT);
  // The server that the trace is played to is not told to end: it notices that nobody is there any more.
  if (isLate) await waitUntil("the server is gone", () => processesOf(child.pid!).length === 0);
  expect(processesOf(child.pid!)).toEqual([]);
  expect(existsSync(file)).toBe(false);
});

test.runIf(process.platform === "linux")("its servers end when it is killed", { tags: "long" }, async () => {
  const { child, output, closed } = start("--seconds", "60", "--seed", seed);
  await waitUntil("the storm has begun", () => output.stderr.includes("repro: stock: "), limitMs);
  child.kill("SIGKILL");
  await closed;
  await waitUntil("the servers are gone", () => processesOf(child.pid!).length === 0);
});

test.each([
  [["--clients", "0"], '--clients: "0" is not a whole number from 1 to 64'],
  [["--seconds", "1.5"], '--seconds: "1.5" is not a whole number from 1 to 3600'],
  [["--seed", "-1"], '--seed: "-1" is not a whole number from 0 to 4294967295'],
  [["--split", "halves"], '--split: "halves" is not one of whole, flush, random, bytes, all'],
  [["-o", "env"], '--output: "env" is not one of text, json'],
  [["--trace", "/dev/null/x"], "--trace: cannot write /dev/null/x: ENOTDIR"],
  [["now"], 'takes no argument, and "now" is one'],
  [["--port", "5432"], "unknown option '--port'"],
  [["--serve", "stock"], "--serve is for the processes that repro itself starts"],
])("%j is a usage error", async (args, sentence) => {
  const { code, stdout, stderr } = await start(...args).closed;
  expect(stderr).toContain(sentence);
  expect(stdout).toBe("");
  expect(code).toBe(2);
});
