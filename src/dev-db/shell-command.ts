/**
 * A command line of the user's, run by the shell to its end.
 *
 * Owns: the process with its group, its output, the error that it ended with. Does not own: what it is for (`setup.ts`).
 * Invariant: nothing of it is left running when the promise settles, whoever ends it; what is kept of its output is bounded.
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Writable } from "node:stream";
import { guardGroup, guardsGroups, signalGroup } from "./process-group.ts";

/** What a failure shows of the output, in lines; whoever wants more has the log. */
const shownLines = 40;
/** How long it has to end when it is told to. */
const graceMs = 1_000;

/** What `startShellCommand` takes. */
interface ShellCommandOptions {
  cwd: string;
  environment: NodeJS.ProcessEnv;
  /** Gets each line of stdout and stderr. */
  onLine: (line: string) => void;
}

/** A command that runs. */
interface ShellCommand {
  /** Resolves when it has ended well. Rejects with an error that has its last lines. */
  readonly ended: Promise<void>;
  /** Ends it with all that it has started, and waits for that. Idempotent. */
  stop(): Promise<void>;
}

/** Starts it. It reads nothing. */
export function startShellCommand(command: string, { cwd, environment, onLine }: ShellCommandOptions): ShellCommand {
  const guarded = guardsGroups ? `read -r go <&3 || exit 1\nexec 3<&-\n${command}` : command;
  const child = spawn(guarded, {
    cwd,
    env: environment,
    shell: true,
    stdio: ["ignore", "pipe", "pipe", guardsGroups ? "pipe" : "ignore"],
    // A group of its own, so that what it starts can be reached as well.
    detached: process.platform !== "win32",
  });
  const endGuard = guardGroup(child);
  // It begins when it has its guard: killed before, this process would leave it running.
  const go = child.stdio[3] as Writable | null | undefined;
  go?.on("error", () => {});
  go?.end("go\n");
  const tail: string[] = [];
  for (const input of [child.stdout!, child.stderr!])
    createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY }).on("line", (line) => {
      tail.push(line);
      if (tail.length > shownLines) tail.shift();
      onLine(line);
    });
  const exited = new Promise<string | undefined>((resolve) => {
    child.once("error", (error) => resolve(`cannot be started: ${error.message}`));
    child.once("exit", (code, signal) =>
      resolve(code === 0 ? undefined : signal ? `was ended by ${signal}` : `ended with exit code ${code}`),
    );
  });
  const left = async () => {
    // What it has left behind holds its pipes, too.
    signalGroup(child, "SIGKILL");
    endGuard();
    await closed;
  };
  const closed = new Promise<void>((resolve) => child.once("close", () => resolve()).once("error", () => resolve()));
  const ended = exited.then(async (failure) => {
    await left();
    if (failure !== undefined) throw new Error([failure, ...tail.map((line) => `  ${line}`)].join("\n"));
  });
  ended.catch(() => {});
  return {
    ended,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return closed;
      signalGroup(child, "SIGTERM");
      const timer = setTimeout(() => signalGroup(child, "SIGKILL"), graceMs);
      await ended.catch(() => {});
      clearTimeout(timer);
    },
  };
}
