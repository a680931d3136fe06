/** `pglite-devdb run -- CMD` in a terminal: the terminal is the command's. */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { isAlive, temporaryDirectory } from "../support/cli-process.ts";
import { hasPty, type PtyProcess, startInPty } from "../support/pty.ts";
import { waitUntil } from "../support/wait-until.ts";

const node = process.execPath;
const cli = join(import.meta.dirname, "../../dist/cli.js");
const vitest = join(import.meta.dirname, "../../node_modules/vitest/vitest.mjs");
const hasPsql = spawnSync("psql", ["--version"]).status === 0;
const ctrlC = "\u0003";

function runInPty(command: readonly string[], cwd = temporaryDirectory()): PtyProcess {
  return startInPty([node, cli, "run", "--port", "0", "--migrations", "none", "--", ...command], { cwd });
}

async function pidOf(terminal: PtyProcess, name: string): Promise<number> {
  const pid = Number((await terminal.sees(new RegExp(`${name} (\\d+)`)))[1]);
  onTestFinished(() => {
    if (isAlive(pid)) process.kill(pid, "SIGKILL");
  });
  return pid;
}

describe.skipIf(!hasPty)("in a terminal", () => {
  test.skipIf(!hasPsql)("psql goes on after Ctrl-C, with its database", async () => {
    const terminal = runInPty(["psql", "-X"]);
    await terminal.sees(/=# /);
    terminal.type("create table kept as select 41 + 1 as n;\n");
    await terminal.sees(/SELECT 1/);
    terminal.type("select pg_sleep(100);\n");
    await terminal.sees(/pg_sleep\(100\);\s[\s\S]*\?2004l/);
    await terminal.sees(/canceling statement due to user request/, ctrlC);
    // Longer than a command may go on that was told to end.
    terminal.type("select 'slept', pg_sleep(4);\nselect 'is ' || n from kept;\n");
    await terminal.sees(/is 42/);
    terminal.type("\\q\n");
    expect(await terminal.ended).toBe(0);
  });

  test("bash has job control and /dev/tty, and its exit code is passed on", async () => {
    const terminal = runInPty(["bash", "--norc", "-i"]);
    await terminal.sees(/bash\S*[$#] /);
    terminal.type("echo by the ter''minal > /dev/tty\n");
    await terminal.sees(/by the terminal/);
    terminal.type(ctrlC);
    terminal.type("sleep 100 & jobs; kill %1; stty -a | grep -c isig; exit 7\n");
    expect(await terminal.ended).toBe(7);
    expect(terminal.shown()).not.toMatch(/cannot set terminal process group|no job control/);
  });

  test("vitest's watch mode takes keys", async () => {
    const cwd = temporaryDirectory();
    writeFileSync(join(cwd, "vitest.config.js"), "export default { test: { globals: true } };");
    writeFileSync(join(cwd, "a.test.js"), 'test("a", () => {});');
    const terminal = runInPty([node, vitest, "--watch"], cwd);
    await terminal.sees(/Waiting for file changes/);
    terminal.type("r");
    await terminal.sees(/RERUN[\s\S]*Waiting for file changes/);
    terminal.type("q");
    expect(await terminal.ended).toBe(0);
  });

  test("a command that Ctrl-C ends is the end, with its exit code", async () => {
    const terminal = runInPty([
      node,
      "-e",
      'process.on("SIGINT", () => process.exit(9)); console.log("waits"); setInterval(() => {}, 1e3)',
    ]);
    await terminal.sees(/waits/);
    terminal.type(ctrlC);
    expect(await terminal.ended).toBe(9);
  });

  test("a command leaves nothing behind, and the other end of a pipe is left alone", async () => {
    const quoted = [node, cli, "run", "--port", "0", "--migrations", "none", "--"].join(" ");
    const inner = "sleep 1000 & echo left $!";
    const terminal = startInPty(
      ["sh", "-c", `${quoted} sh -c '${inner}' | { cat; sleep 1; echo reader goes on; }; exit 4`],
      { cwd: temporaryDirectory() },
    );
    const pid = await pidOf(terminal, "left");
    await terminal.sees(/reader goes on/);
    expect([await terminal.ended, isAlive(pid)]).toEqual([4, false]);
  });

  test("a command ends when run is killed", async () => {
    const terminal = runInPty(["sh", "-c", "echo command $$; sleep 1000 & echo inner $! of $PPID; wait"]);
    const pids = [await pidOf(terminal, "command"), await pidOf(terminal, "inner")];
    const [, run] = await terminal.sees(/of (\d+)/);
    process.kill(Number(run), "SIGKILL");
    await waitUntil("the command is gone", () => !pids.some(isAlive));
  });

  test("SIGTERM is forwarded, and the exit code is that of the command", async () => {
    const terminal = runInPty([
      node,
      "-e",
      'process.on("SIGTERM", () => process.exit(9)); console.log("run " + process.ppid); setInterval(() => {}, 1e3)',
    ]);
    const [, run] = await terminal.sees(/run (\d+)/);
    process.kill(Number(run), "SIGTERM");
    expect(await terminal.ended).toBe(9);
  });
});
