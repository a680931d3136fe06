/**
 * The built command line in a process of its own.
 *
 * Owns: starting it in a clean environment and an empty directory, its output, and its end. Does not own: what a test
 * expects of it.
 * Invariant: a process started here does not outlive the test that started it.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { waitUntil } from "./wait-until.ts";

const builtCli = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));

/** What `startCli` takes beside the arguments. */
export interface CliSettings {
  cwd?: string;
  environment?: Record<string, string>;
  /** The program; dist/cli.js if it is left out. */
  cli?: string;
  /** The Node to run it on; this one if it is left out. */
  node?: string;
}

/** How a process ended. */
export interface CliEnd {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** A running command line. */
export interface CliProcess {
  readonly child: ChildProcess;
  readonly pid: number;
  stdout(): string;
  stderr(): string;
  /** Resolves with the match when the whole lines on stdout have one; rejects if the process ends before. */
  line(pattern: RegExp): Promise<RegExpMatchArray>;
  readonly ended: Promise<CliEnd>;
}

/** An empty directory that goes with the test. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "pglite-devdb-cli-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }));
  return directory;
}

/** Starts dist/cli.js. Variables that would be options are taken out of the environment. */
export function startCli(args: readonly string[], settings: CliSettings = {}): CliProcess {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(DEV_DB_|PG|DATABASE_URL$)/.test(name));
  const child = spawn(settings.node ?? process.execPath, [settings.cli ?? builtCli, ...args], {
    cwd: settings.cwd ?? temporaryDirectory(),
    env: { ...Object.fromEntries(inherited), ...settings.environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  let end: CliEnd | undefined;
  const ended = new Promise<CliEnd>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      end = { code, signal, stdout, stderr };
      resolve(end);
    });
  });
  ended.catch(() => {});
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await ended.catch(() => {});
  });
  return {
    child,
    pid: child.pid!,
    stdout: () => stdout,
    stderr: () => stderr,
    ended,
    async line(pattern) {
      const find = () => stdout.slice(0, stdout.lastIndexOf("\n") + 1).match(pattern);
      await waitUntil(`stdout has ${pattern}`, () => find() !== null || end !== undefined, 200_000);
      const match = find();
      if (!match) throw new Error(`ended without ${pattern}: ${JSON.stringify(end)}`);
      return match;
    },
  };
}

/** Runs dist/cli.js to its end. */
export function runCli(args: readonly string[], settings: CliSettings = {}): Promise<CliEnd> {
  return startCli(args, settings).ended;
}

/** Whether a process is alive; a zombie, which nobody has waited for yet, is not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform !== "linux" || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

/** The command lines of all processes. */
export function commandLines(): string {
  return execFileSync("ps", ["-eo", "args"], { encoding: "utf8" });
}
