/**
 * Threads in processes of their own: by real processes, each started by a small program, as the engine thread starts them.
 *
 * @module-tag long
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { isAlive } from "../../support/cli-process.ts";
import { waitUntil } from "../../support/wait-until.ts";

const separate = new URL("../../../src/system/separate.ts", import.meta.url).href;

const threads = {
  needsMore: `if (!process.env.NODE_OPTIONS) throw new Error("what it needs is not there"); begin(); parentPort.postMessage({ bytes: [7e6], pid: process.pid, options: "none" });`,
  answers: `begin(); parentPort.postMessage({ bytes: new Uint8Array(1e6).fill(workerData.fill), pid: process.pid, options: process.env.NODE_OPTIONS ?? "none" });`,
  throws: `begin(); throw Object.assign(new Error("initdb: error: could not do it"), { code: "ENOTDIR" });`,
  ends: "begin(); process.exit(3);",
  // When its process has heard of its first message, and so of these words.
  isKilled: `begin(); process.stderr.write("out of memory", () => setTimeout(() => process.kill(process.pid, "SIGKILL"), 100));`,
  computes: `import { writeFileSync } from "node:fs"; begin(); writeFileSync(workerData, String(process.pid)); for (;;);`,
};

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "separate-"));
  const head = `import { parentPort, workerData } from "node:worker_threads"; const begin = () => parentPort.postMessage("begins");\n`;
  for (const [name, code] of Object.entries(threads)) writeFileSync(join(directory, `${name}.mjs`), head + code);
  writeFileSync(
    join(directory, "parent.mjs"),
    `const { abandonSeparate, runSeparately } = await import(${JSON.stringify(separate)});
    const [url, data, isAbandoned, limitMs] = process.argv.slice(2);
    if (isAbandoned) process.once("SIGTERM", abandonSeparate);
    const keep = setInterval(() => {}, 1000);
    const say = (what) => console.log(JSON.stringify({ ...what, own: process.pid }));
    await runSeparately({ name: "the work", url: new URL(url), data: JSON.parse(data), limitMs: limitMs && Number(limitMs) })
      .then(({ bytes, ...rest }) => say({ ...rest, sum: bytes.reduce((sum, byte) => sum + byte, 0) }))
      .catch(({ message, code }) => say({ message, code }));
    clearInterval(keep);`,
  );
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface ParentSettings {
  readonly data?: unknown;
  readonly node?: string;
  readonly nodeArguments?: readonly string[];
  readonly environment?: Record<string, string>;
  readonly more?: readonly string[];
}

function start(thread: keyof typeof threads, settings: ParentSettings = {}) {
  const { data = { fill: 7 }, node = process.execPath, nodeArguments = [], environment = {}, more = [] } = settings;
  const url = pathToFileURL(join(directory, `${thread}.mjs`)).href;
  const parameters = [...nodeArguments, join(directory, "parent.mjs"), url, JSON.stringify(data), ...more];
  const child: ChildProcessByStdio<null, Readable, null> = spawn(node, parameters, {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  const said = new Promise<Record<string, unknown>>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", () => resolve(text === "" ? {} : JSON.parse(text)));
  });
  return { child, said };
}

const run = (...parameters: Parameters<typeof start>) => start(...parameters).said;

const answered = { sum: 7_000_000, pid: expect.any(Number), options: "none" };

describe("a thread", () => {
  test("has its answer come from a process of its own, whatever is set for Node in this one", async () => {
    const note = join(directory, "required");
    const hindrance = join(directory, "hindrance.cjs");
    writeFileSync(hindrance, `require("node:fs").appendFileSync(${JSON.stringify(note)}, process.pid + "\\n")`);
    const said = await run("answers", {
      environment: { NODE_OPTIONS: `--require ${hindrance}` },
      nodeArguments: ["--conditions=none"],
    });
    expect(said).toMatchObject(answered);
    expect(said.pid).not.toBe(said.own);
    expect(readFileSync(note, "utf8")).toBe(`${said.own}\n`);
  });

  test("that throws rejects with its words and its code", async () => {
    expect(await run("throws")).toMatchObject({ message: "initdb: error: could not do it", code: "ENOTDIR" });
  });

  test("that ends without an answer rejects, too", async () => {
    expect(await run("ends")).toMatchObject({ message: "the thread ended with code 3" });
  });

  test.skipIf(process.platform === "win32")("whose process is killed rejects and says so", async () => {
    const { message } = await run("isKilled");
    expect(message).toMatch(/^the process of the work ended \(SIGKILL\)/);
  });
});

describe("where there can be no process the thread is one of this process", () => {
  const here = (said: Record<string, unknown>) => {
    expect(said).toMatchObject(answered);
    expect(said.pid).toBe(said.own);
  };

  test("as Node's permission model does not let there be one", async () => {
    const nodeArguments = ["--permission", "--allow-worker", "--allow-fs-read=*", "--no-warnings"];
    here(await run("answers", { nodeArguments }));
  });

  test("as the thread does not find there what it imports", async () => {
    here(await run("needsMore", { environment: { NODE_OPTIONS: "--no-warnings" } }));
  });

  test("as this program is not called node", async () => {
    const node = join(directory, "application");
    copyFileSync(process.execPath, node);
    here(await run("answers", { node }));
  });
});

describe("a process that computes", () => {
  /** One whose parent waits for it. */
  async function computing(more: readonly string[] = []) {
    const note = join(directory, `pid-${more.length}`);
    const { child, said } = start("computes", { data: note, more });
    let pid = 0;
    await waitUntil("it computes", () => {
      try {
        pid = Number(readFileSync(note, "utf8"));
      } catch {}
      return pid > 0;
    });
    expect(pid).not.toBe(child.pid);
    return { child, said, pid };
  }

  test("ends when its parent is killed", async () => {
    const { child, pid } = await computing();
    child.kill("SIGKILL");
    await waitUntil("it is gone", () => !isAlive(pid));
  });

  test("ends at its limit, and its parent is told", async () => {
    const { said } = start("computes", { data: join(directory, "pid-late"), more: ["", "500"] });
    expect(await said).toMatchObject({ message: "the process of the work had no answer after 0.5 s" });
  });

  test.skipIf(process.platform === "win32")("ends when it is abandoned, and its parent is told", async () => {
    const { child, said, pid } = await computing(["abandon"]);
    child.kill("SIGTERM");
    expect(await said).toMatchObject({ message: "the work was abandoned" });
    expect(isAlive(pid)).toBe(false);
  });
});
