/**
 * The built server as a process that will be killed.
 *
 * Owns: starting it on a data directory, its ready line, killing it. Does not own: when, or what is checked then.
 * Invariant: it is gone, with all its threads, when `kill` resolves; it does not outlive this process by more than a kill.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const cli = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** What is loaded into the process beside the server. */
interface Preload {
  readonly nodeArguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** A server process. */
export interface ServedProcess {
  readonly pid: number;
  /** The URL when it is ready. Rejects if it ends before, with what it said. */
  readonly ready: Promise<string>;
  /** Resolves when it has ended, of whatever. */
  readonly ended: Promise<unknown>;
  /** What it has printed on standard error. */
  words(): string;
  /** The end of that. */
  lastWords(): string;
  /** Sends SIGKILL. */
  kill(): Promise<void>;
  /** Sends SIGTERM, and resolves with the exit code; undefined if it had to be killed after `patienceMs`. */
  terminate(patienceMs: number): Promise<number | undefined>;
}

/** Starts dist/cli.js on a data directory, with nothing to migrate; `args` are further arguments. */
export function startServed(directory: string, args: readonly string[] = [], preload?: Preload): ServedProcess {
  const options = ["--port", "0", "--migrations", "none", "-o", "json", "--db", directory, ...args];
  const child = spawn(process.execPath, [...(preload?.nodeArguments ?? []), cli, ...options], {
    env: { PATH: process.env.PATH, ...preload?.environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.add(child);
  let words = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    words += text;
  });
  const ended = once(child, "close").finally(() => running.delete(child));
  const line = once(createInterface({ input: child.stdout }), "line");
  const ready = Promise.race([
    line.then(([text]) => JSON.parse(text as string).url as string),
    ended.then(([code, signal]) => {
      throw new Error(`the server ended (${signal ?? code}) before it was ready: ${words.slice(-2_000).trim()}`);
    }),
  ]);
  ready.catch(() => {});
  return {
    ready,
    ended,
    pid: child.pid ?? 0,
    words: () => words,
    lastWords: () => words.slice(-2_000),
    terminate: async (patienceMs) => {
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), patienceMs);
      const [code] = await ended;
      clearTimeout(timer);
      return code ?? undefined;
    },
    kill: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
