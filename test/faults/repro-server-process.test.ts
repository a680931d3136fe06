/**
 * The server processes of a comparison: one that does not start, dies or hangs is reported and gone.
 *
 * Owns: the ends of such a process. Does not own: what a real one serves (`test/concurrency/repro.test.ts`).
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { startServerProcess } from "../../src/trace/repro/server-process.ts";
import { waitUntil } from "../support/wait-until.ts";

const directory = mkdtempSync(join(tmpdir(), "repro-server-"));
afterAll(() => rmSync(directory, { recursive: true }));

function moduleOf(name: string, code: string): string {
  const path = join(directory, `${name}.mjs`);
  writeFileSync(path, code);
  return path;
}

const forever = "setInterval(() => {}, 1000);";
const deaf = `process.on("SIGTERM", () => {}); process.on("SIGINT", () => {}); ${forever}`;
/** Writes its process id where the test can read it: a process that is killed cannot tell. */
const tellPid = (file: string) =>
  `import { writeFileSync } from "node:fs"; writeFileSync(${JSON.stringify(file)}, String(process.pid));`;

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function pidIn(file: string): Promise<number> {
  const { readFileSync, existsSync } = await import("node:fs");
  await waitUntil("the process has told its id", () => existsSync(file) && readFileSync(file, "utf8") !== "");
  return Number(readFileSync(file, "utf8"));
}

test("a process that ends before it is ready is reported with its last words", async () => {
  const path = moduleOf(
    "dies",
    'process.stderr.write("no memory left\\n"); process.exitCode = 3; process.disconnect();',
  );
  await expect(startServerProcess(path, [], new AbortController().signal)).rejects.toThrow(/exit 3.*no memory left/);
});

test("a module that is missing is reported", async () => {
  const path = join(directory, "missing.mjs");
  await expect(startServerProcess(path, [], new AbortController().signal)).rejects.toThrow(/did not start.*exit 1/s);
});

test("an abort kills a process that is still starting, and rejects with its reason", async () => {
  const file = join(directory, "starting.pid");
  const abort = new AbortController();
  const start = startServerProcess(moduleOf("starting", `${tellPid(file)} ${deaf}`), [], abort.signal);
  const pid = await pidIn(file);
  abort.abort(new Error("Ctrl-C"));
  await expect(start).rejects.toThrow("Ctrl-C");
  expect(isRunning(pid)).toBe(false);
  await expect(startServerProcess("never", [], abort.signal)).rejects.toThrow("Ctrl-C");
});

test("stop and a later abort end a process that ignores signals", async () => {
  const file = join(directory, "deaf.pid");
  const path = moduleOf("deaf", `${tellPid(file)} ${deaf} process.send({ port: Number(process.argv[2]) });`);
  const server = await startServerProcess(path, ["4711"], new AbortController().signal);
  expect(server.address).toEqual({ host: "127.0.0.1", port: 4711 });
  const pid = await pidIn(file);
  expect(isRunning(pid)).toBe(true);
  await server.stop();
  await server.stop();
  expect(isRunning(pid)).toBe(false);

  const abort = new AbortController();
  const other = await startServerProcess(path, ["4711"], abort.signal);
  abort.abort();
  expect(await other.ended).toMatch(/SIGKILL/);
});

test("the end of a running process is told", async () => {
  const path = moduleOf("crashes", 'process.send({ port: 1 }); setTimeout(() => { throw new Error("boom"); }, 50);');
  const server = await startServerProcess(path, [], new AbortController().signal);
  expect(await server.ended).toMatch(/exit 1.*boom/s);
});
