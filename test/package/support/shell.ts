/**
 * A command as it is typed into a terminal.
 *
 * Owns: its process group, and Ctrl-C. Does not own: what is typed.
 * Invariant: nothing of it is left at the end of the test.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { onTestFinished } from "vitest";
import { waitUntil } from "../../support/wait-until.ts";

/** A command that runs. */
export interface Typed {
  /** Everything that it has said. */
  said(): string;
  /** Waits until it says that, or has ended. */
  says(pattern: RegExp): Promise<void>;
  /** What the terminal does at Ctrl-C. */
  interrupt(): void;
  /** Resolves when the shell has ended; what it has left in the background may go on. */
  readonly exited: Promise<unknown>;
  /** Resolves with the exit code, when nothing of it is left that could say something. */
  readonly ended: Promise<number | null>;
}

/** Types it. */
export function type(command: string, cwd: string, environment: Readonly<Record<string, string>>): Typed {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(DEV_DB_|PG|DATABASE_URL$|VITEST|NODE_ENV$|npm_|INIT_CWD$)/i.test(name),
  );
  const env = { ...Object.fromEntries(inherited), ...environment };
  const child = spawn(command, { cwd, env, shell: true, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
  let hasEnded = false;
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      hasEnded = true;
      resolve(code);
    });
  });
  onTestFinished(() => {
    if (!hasEnded) process.kill(-child.pid!, "SIGKILL");
  });
  return {
    said: () => said,
    says: (pattern) => waitUntil(`${command} says ${pattern}`, () => pattern.test(said) || hasEnded, 200_000),
    exited: once(child, "exit"),
    interrupt: () => void process.kill(-child.pid!, "SIGINT"),
    ended,
  };
}
