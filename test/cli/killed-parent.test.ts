/** What is left when a process around the server is killed with SIGKILL: by real processes. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { commandLines, isAlive, startCli } from "../support/cli-process.ts";
import { initializedDirectory, initializeTemplate } from "../support/data-directory.ts";
import { waitUntil } from "../support/wait-until.ts";
import { WireClient } from "../support/wire-client.ts";

beforeAll(initializeTemplate);

const node = process.execPath;
const cli = join(import.meta.dirname, "../../dist/cli.js");

/** Kills it at the end of the test, if it should still be there. */
function mourn(pid: number): number {
  onTestFinished(() => {
    if (isAlive(pid)) process.kill(pid, "SIGKILL");
  });
  return pid;
}

const gone = (what: string, pid: number) => waitUntil(`${what} is gone`, () => !isAlive(pid));

/** A command that starts one more process; both say their pids and ignore SIGHUP. */
const staying = `process.on("SIGHUP", () => {}); setInterval(() => {}, 1000); console.log(process.argv[1], process.pid);`;
const family = `${staying} require("child_process").spawn(process.execPath, ["-e", ${JSON.stringify(staying)}, "inner"], { stdio: "inherit" });`;

describe.skipIf(process.platform === "win32")("run", () => {
  test("killed: its server, its command and what that has started are gone, and the directory can be opened", async () => {
    const db = initializedDirectory();
    const run = startCli(["run", "--port", "0", "--db", db, "--", node, "-e", family, "outer"]);
    const pids = await Promise.all(
      ["outer", "inner"].map(async (name) => mourn(Number((await run.line(new RegExp(`${name} (\\d+)`)))[1]))),
    );
    run.child.kill("SIGKILL");
    await Promise.all(pids.map((pid) => gone("the command", pid)));
    const next = startCli(["--port", "0", "--db", db, "-o", "json"]);
    await next.line(/"url"/);
  });

  test("ended in order: nothing that guarded it is left", { tags: "long" }, async () => {
    const run = startCli([
      "run",
      "--port",
      "0",
      "--db",
      initializedDirectory(),
      "--",
      node,
      "-e",
      `${staying} setTimeout(() => process.exit(0), 50)`,
      "outer",
    ]);
    const [, pid] = await run.line(/outer (\d+)/);
    expect((await run.ended).code).toBe(0);
    await waitUntil("the guard is gone", () => !commandLines().includes(`pglite-devdb-guard ${pid}`));
  });
});

describe.skipIf(process.platform === "win32")("start", () => {
  const start = (db: string) => ["start", "--port", "0", "--db", db, "-o", "json"];

  /** A Node process that starts the command line and passes its output on. */
  function parent(
    code: string,
    args: readonly string[],
  ): { parent: ChildProcess; ready: Promise<{ pid: number; port: number }> } {
    const whole = `const { spawn } = require("child_process"); const [cli, ...args] = process.argv.slice(1); ${code}`;
    const process_ = spawn(node, ["-e", whole, cli, ...args], { stdio: ["ignore", "pipe", "inherit"] });
    mourn(process_.pid!);
    const ready = new Promise<{ pid: number; port: number }>((resolve) => {
      createInterface({ input: process_.stdout! }).once("line", (line) => resolve(JSON.parse(line)));
    });
    return { parent: process_, ready };
  }
  const pipes = `const child = spawn(process.execPath, [cli, ...args], { stdio: ["pipe", "pipe", "inherit"] }); child.stdout.pipe(process.stdout);`;

  /** Resolves when two other servers, one after the other, have started and ended because of their parents: longer than a dead one is looked for. */
  async function othersEnd(): Promise<void> {
    for (let n = 0; n < 2; n++) {
      const { parent: killed, ready } = parent(pipes, start(initializedDirectory()));
      const pid = mourn((await ready).pid);
      killed.kill("SIGKILL");
      await gone("the other server", pid);
    }
  }

  test("whose parent was killed, which held its stdin, ends in order", { tags: "long" }, async () => {
    const { parent: killed, ready } = parent(pipes, start(initializedDirectory()));
    const pid = mourn((await ready).pid);
    killed.kill("SIGKILL");
    await gone("the server", pid);
  });

  const wrapped = `const quoted = [process.execPath, cli, ...args].map((word) => "'" + word + "'").join(" ");
    const shell = "sh -c \\"" + quoted + "; true\\"; true";
    const child = spawn("sh", ["-c", shell], { stdio: ["pipe", "pipe", "inherit"] }); child.stdout.pipe(process.stdout);`;

  test("whose starter was killed, which held its stdin by way of two shells, ends in order", async () => {
    const { parent: killed, ready } = parent(wrapped, start(initializedDirectory()));
    const pid = mourn((await ready).pid);
    killed.kill("SIGKILL");
    await gone("the server", pid);
  });

  test("whose starter closes stdin by way of two shells goes on", { tags: "long" }, async () => {
    const { ready } = parent(`${wrapped} child.stdin.end();`, start(initializedDirectory()));
    const { pid, port } = await ready;
    mourn(pid);
    const client = await WireClient.login({ port });
    await othersEnd();
    await client.query("select 1");
    await client.end();
    expect(isAlive(pid)).toBe(true);
  });

  test("whose parent only closes its stdin goes on", { tags: "long" }, async () => {
    const { ready } = parent(`${pipes} child.stdin.end();`, start(initializedDirectory()));
    const { pid, port } = await ready;
    mourn(pid);
    const client = await WireClient.login({ port });
    await othersEnd();
    await client.query("select 1");
    await client.end();
    expect(isAlive(pid)).toBe(true);
  });

  test("that a shell has put into the background goes on without it", { tags: "long" }, async () => {
    const shell = spawn(
      "/bin/sh",
      ["-c", `"$@" & echo $! >&2; sleep 60`, "sh", node, cli, ...start(initializedDirectory())],
      {
        stdio: ["pipe", "pipe", "pipe"],
      },
    );
    mourn(shell.pid!);
    const pid = mourn(
      Number(await new Promise((resolve) => createInterface({ input: shell.stderr! }).once("line", resolve))),
    );
    const line = await new Promise<string>((resolve) =>
      createInterface({ input: shell.stdout! }).once("line", resolve),
    );
    shell.kill("SIGKILL");
    const client = await WireClient.login({ port: (JSON.parse(line) as { port: number }).port });
    await othersEnd();
    await client.query("select 1");
    await client.end();
    expect(isAlive(pid)).toBe(true);
  });
});
