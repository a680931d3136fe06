/**
 * Runs a client program in a process of its own.
 *
 * Owns: its input, its output, its bounded end. Does not own: what it does.
 * Invariant: when `run` settles the program has ended, and with it everything that it started.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Writable } from "node:stream";

/** How a program ended. */
export interface Run {
  /** The exit code; null if it was killed. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Whether it was killed because its time was over. */
  readonly timedOut: boolean;
  /** Everything for the message of a failed expectation. */
  readonly all: string;
}

/** What a program gets. */
export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Its standard input; a function may write it piece by piece, and kill the program. */
  readonly input?: string | ((stdin: Writable, kill: () => void) => Promise<void>);
  /** When it is killed; 200 s by default. */
  readonly limitMs?: number;
}

/** The environment without what a person has set for clients or for this package. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(DEV_DB_|PG|DATABASE_URL$)/.test(name)));
}

/** How libpq's tools find the server at `url`. */
export function libpqEnvironment(url: string): Record<string, string> {
  const { hostname, port, username, password, pathname } = new URL(url);
  return { PGHOST: hostname, PGPORT: port, PGUSER: username, PGPASSWORD: password, PGDATABASE: pathname.slice(1) };
}

/** Runs `file` to its end, or kills it after `limitMs`. Rejects only if it cannot be started or fed. */
export async function run(file: string, args: readonly string[], options: RunOptions = {}): Promise<Run> {
  // A group of its own, so that what it started can be ended with it.
  const child = spawn(file, args, {
    cwd: options.cwd,
    env: { ...cleanEnvironment(), LC_ALL: "C.UTF-8", ...options.env },
    detached: true,
    stdio: ["pipe", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  let timedOut = false;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  // It may end before it has read everything.
  child.stdin.on("error", () => {});
  const closed = once(child, "close");
  const killGroup = () => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGKILL");
  };
  process.once("exit", killGroup);
  const timer = setTimeout(() => {
    timedOut = true;
    killGroup();
  }, options.limitMs ?? 200_000);
  try {
    const { input } = options;
    if (typeof input === "function") await Promise.race([input(child.stdin, killGroup), closed]);
    else if (input !== undefined) child.stdin.write(input);
    child.stdin.end();
    await closed;
  } catch (error) {
    killGroup();
    throw error;
  } finally {
    clearTimeout(timer);
    process.off("exit", killGroup);
  }
  const all = `${file} ${args.join(" ")}\nexit ${child.exitCode}${timedOut ? " (killed)" : ""}\n${stdout}\n${stderr}`;
  return { code: child.exitCode, stdout, stderr, timedOut, all };
}
