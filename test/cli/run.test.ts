/**
 * `pglite-devdb run -- CMD` as a process: arguments, environment, exit codes, signals, and nothing left running.
 */
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type CliProcess, isAlive, runCli, startCli, temporaryDirectory } from "../support/cli-process.ts";
import { initializedDirectory, initializeTemplate } from "../support/data-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

const node = process.execPath;

beforeAll(initializeTemplate);

/** `run` with a child that is a piece of JavaScript. */
const script = (code: string, ...args: string[]) => [...run(), node, "-e", code, ...args];

const run = () => ["run", "--port", "0", "--db", initializedDirectory(), "--"];

/** A child that prints its pid and goes on until it is told otherwise. */
const staying = (more = "") => `${more}; console.log("pid", process.pid); setInterval(() => {}, 1000);`;

async function childPid(cli: CliProcess): Promise<number> {
  const pid = Number((await cli.line(/pid (\d+)/))[1]);
  // Only if the test fails; otherwise it is gone, and its number still too fresh to be another process's.
  onTestFinished(() => {
    if (isAlive(pid)) process.kill(pid, "SIGKILL");
  });
  return pid;
}

describe("the command", () => {
  test("gets its arguments exactly, the server in its environment, and its exit code is passed on", async () => {
    const args = ["a b", "", "--port", "*", "$HOME", '"', "--", "-o"];
    const code = `
      const { DATABASE_URL, PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, PGSSLMODE, PGHOSTADDR, PGSERVICE } = process.env;
      const variables = { DATABASE_URL, PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, PGSSLMODE, PGHOSTADDR, PGSERVICE };
      require("net").connect(PGPORT, PGHOST, () => {
        console.log(JSON.stringify({ args: process.argv.slice(1), variables }));
        process.exit(7);
      });`;
    const own = { DATABASE_URL: "postgres://elsewhere/prod", PGHOSTADDR: "192.0.2.1", PGSERVICE: "prod" };
    const end = await runCli(script(code, ...args), { environment: own });
    expect(end.code).toBe(7);
    const seen = JSON.parse(end.stdout);
    // Node takes the first "--" after -e for itself.
    expect(seen.args).toEqual(args);
    const { PGPORT } = seen.variables;
    expect(seen.variables).toEqual({
      DATABASE_URL: `postgresql://postgres:postgres@127.0.0.1:${PGPORT}/postgres`,
      PGHOST: "127.0.0.1",
      PGPORT: expect.stringMatching(/^[1-9]\d+$/),
      PGUSER: "postgres",
      PGPASSWORD: "postgres",
      PGDATABASE: "postgres",
      PGSSLMODE: "disable",
    });
    const warnings = end.stderr.split("\n").filter((line) => line.includes("warning"));
    expect(warnings).toEqual([expect.stringContaining("DATABASE_URL was set to another database")]);
  });

  test("killed by SIGKILL is 137, and there is no warning without an earlier DATABASE_URL", {
    tags: "long",
  }, async () => {
    const end = await runCli(script("process.kill(process.pid, 'SIGKILL')"));
    expect(end.code).toBe(137);
    expect(end.stderr).not.toContain("warning");
  });

  test("that does not exist is 127, that cannot be executed is 126, each with a sentence", async () => {
    const cwd = temporaryDirectory();
    writeFileSync(join(cwd, "plain.txt"), "x");
    chmodSync(join(cwd, "plain.txt"), 0o644);
    // No server is started for it.
    for (const name of ["no-such-command", "./no-such-command"]) {
      const missing = await runCli([...run(), name, "x"], { cwd });
      expect(missing).toMatchObject({
        code: 127,
        stdout: "",
        stderr: `pglite-devdb: run: there is no command "${name}"\n`,
      });
    }
    const plain = await runCli([...run(), "./plain.txt"], { cwd });
    expect(plain).toMatchObject({ code: 126, stdout: "" });
    expect(plain.stderr).toContain('run: "./plain.txt" cannot be executed (EACCES)');
  });

  test("is not started when the server cannot be", async () => {
    const cwd = temporaryDirectory();
    writeFileSync(join(cwd, "file"), "");
    const end = await runCli(["run", "--db", ".", "--", node, "-e", "console.log('ran')"], { cwd });
    expect(end).toMatchObject({ code: 5, stdout: "" });
  });
});

describe.skipIf(process.platform === "win32")("signals", () => {
  const isForwarded = async (signal: NodeJS.Signals, code: number): Promise<void> => {
    const dies = startCli(script(staying()));
    const answers = startCli(script(staying(`process.on("${signal}", () => process.exit(9))`)));
    const pids = [await childPid(dies), await childPid(answers)];
    dies.child.kill(signal);
    answers.child.kill(signal);
    expect((await dies.ended).code).toBe(code);
    expect((await answers.ended).code).toBe(9);
    expect(pids.filter(isAlive)).toEqual([]);
  };
  const forwarded = "is forwarded, and the exit code is that of the command";

  test.each([["SIGTERM", 143]] as const)(`%s ${forwarded}`, isForwarded);
  test.each([["SIGINT", 130]] as const)(`%s ${forwarded}`, { tags: "long" }, isForwarded);

  test("a command that ignores SIGTERM is killed, and the exit code is that of the signal", {
    tags: "long",
  }, async () => {
    const [run, ...more] = script(staying('process.on("SIGTERM", () => console.log("ignored"))'));
    const cli = startCli([run!, "--grace", "300", ...more]);
    const pid = await childPid(cli);
    cli.child.kill("SIGTERM");
    await cli.line(/ignored/);
    const end = await cli.ended;
    expect(end.code).toBe(143);
    expect(end.stderr).toMatch(/killing the command.*SIGTERM/);
    expect(isAlive(pid)).toBe(false);
    // In time for the server to be closed in order.
    expect(end.stderr).not.toContain("before everything is closed");
  });

  test("a command that takes 6 s to clean up has them", { tags: "long" }, async () => {
    const cli = startCli(script(staying('process.on("SIGTERM", () => setTimeout(() => process.exit(9), 6000))')));
    await childPid(cli);
    cli.child.kill("SIGTERM");
    expect((await cli.ended).code).toBe(9);
  });

  test("a second signal ends everything at once", async () => {
    const cli = startCli(
      script(staying('process.on("SIGTERM", () => console.log("ignored", process.hrtime.bigint()))')),
    );
    const pid = await childPid(cli);
    cli.child.kill("SIGTERM");
    await cli.line(/ignored/);
    // Signals that come within a moment of each other are one, so further ones are sent until one counts.
    const sending = setInterval(() => cli.child.kill("SIGINT"), 20);
    const end = await cli.ended;
    clearInterval(sending);
    expect(end.code).toBe(130);
    await waitUntil("the command is gone", () => !isAlive(pid));
  });

  test("the server still answers the command while it ends", { tags: "long" }, async () => {
    const code = staying(`
      process.on("SIGTERM", () => {
        const socket = require("net").connect(process.env.PGPORT, process.env.PGHOST);
        socket.on("connect", () => process.exit(4)).on("error", () => process.exit(5));
      })`);
    const cli = startCli(script(code));
    await childPid(cli);
    cli.child.kill("SIGTERM");
    expect((await cli.ended).code).toBe(4);
  });
});

describe.skipIf(process.platform === "win32")("what the command has started", () => {
  const grandchild = (code: string) => `
    const { spawn } = require("child_process");
    const child = spawn(process.execPath, ["-e", ${JSON.stringify(code)}], { stdio: ["ignore", "inherit", "inherit"] });`;

  test("does not survive it, also if it ignores SIGTERM", { tags: "long" }, async () => {
    const polite = grandchild(staying());
    const stubborn = grandchild(staying('process.on("SIGTERM", () => {})'));
    for (const code of [polite, stubborn]) {
      const ends = `${code}; child.unref(); process.stdin.resume(); setInterval(() => {}, 1000);
        process.on("SIGUSR1", () => process.exit(0)); console.log("parent", process.pid);`;
      const cli = startCli(script(ends));
      const pid = await childPid(cli);
      const parent = Number((await cli.line(/parent (\d+)/))[1]);
      process.kill(parent, "SIGUSR1");
      expect((await cli.ended).code).toBe(0);
      expect(isAlive(pid)).toBe(false);
    }
  });

  test("gets the signal as well", { tags: "long" }, async () => {
    const cli = startCli(script(`${grandchild(staying())}; setInterval(() => {}, 1000)`));
    const pid = await childPid(cli);
    cli.child.kill("SIGINT");
    expect((await cli.ended).code).toBe(130);
    expect(isAlive(pid)).toBe(false);
  });
});
