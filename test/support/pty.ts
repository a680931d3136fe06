/** A program in a terminal of its own, by Python's pty module. */
import { spawn, spawnSync } from "node:child_process";
import { onTestFinished } from "vitest";
import { waitUntil } from "./wait-until.ts";

/** Whether there is a Python that can make one. */
export const hasPty = process.platform !== "win32" && spawnSync("python3", ["-c", "import pty"]).status === 0;

// The program's exit code is Python's; it ends with the terminal, as Python's own end closes it.
const script = `
import os, pty, signal, sys
code = os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:]))
sys.exit(code if code >= 0 else 128 - code)`;

const againMs = 300;

/** A program in a terminal. */
export interface PtyProcess {
  /** Types. */
  readonly type: (text: string) => void;
  /** All that was shown until now. */
  readonly shown: () => string;
  /** Waits until it was shown, typing `again` meanwhile. */
  readonly sees: (pattern: RegExp, again?: string) => Promise<RegExpExecArray>;
  /** Resolves with the exit code. */
  readonly ended: Promise<number | null>;
}

/** Starts a program, whose terminal goes with the test. */
export function startInPty(argv: readonly string[], settings: { cwd: string }): PtyProcess {
  const environment = Object.entries(process.env).filter(
    ([name]) => !/^(DEV_DB_|PG|DATABASE_URL$|CI$|VITEST)/.test(name),
  );
  const child = spawn("python3", ["-c", script, ...argv], {
    cwd: settings.cwd,
    env: { ...Object.fromEntries(environment), TERM: "xterm", PAGER: "cat" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  let shown = "";
  let code: number | null | undefined;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    shown += text;
  });
  child.stdin.on("error", () => {});
  const ended = new Promise<number | null>((resolve) => {
    child.once("close", (exitCode) => {
      code = exitCode;
      resolve(exitCode);
    });
  });
  onTestFinished(async () => {
    if (code === undefined) child.kill("SIGKILL");
    await ended;
  });
  const type = (text: string) => void child.stdin.write(text);
  return {
    type,
    shown: () => shown,
    ended,
    async sees(pattern, again) {
      let typedAt = 0;
      const isShown = () => {
        if (pattern.test(shown) || code !== undefined) return true;
        if (again !== undefined && performance.now() - typedAt > againMs) {
          type(again);
          typedAt = performance.now();
        }
        return false;
      };
      await waitUntil(`the terminal shows ${pattern}`, isShown, 30_000).catch((error: Error) => {
        throw new Error(`${error.message}: ${JSON.stringify(shown)}`);
      });
      const match = pattern.exec(shown);
      if (!match) throw new Error(`ended with ${code}, without ${pattern}: ${shown}`);
      return match;
    },
  };
}
