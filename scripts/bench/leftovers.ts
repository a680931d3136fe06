/**
 * What must be gone when the benchmark ends, however it ends: processes and temporary directories.
 *
 * Owns: the list of both and the synchronous end of them at exit, on Ctrl-C and on a crash. Does not own: the orderly
 * end of a server in a run that goes well (`server-process.ts`), which takes its entry off the list.
 * Invariant: an entry is made before the thing can outlive us, and only things that this process made are on the list.
 */
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";

const children = new Map<ChildProcess, NodeJS.Signals>();
const directories = new Set<string>();
const patienceMs = 3_000;
const pause = new Int32Array(new SharedArrayBuffer(4));

/** Puts a child on the list until it exits by itself; `signal` is what ends it fast and cleanly. */
export function holdChild(child: ChildProcess, signal: NodeJS.Signals): void {
  children.set(child, signal);
  child.once("exit", () => children.delete(child));
}

/** Makes a temporary directory that is on the list until `dropDirectory`. */
export function makeDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "pglite-devdb-bench-"));
  directories.add(directory);
  return directory;
}

/** Removes a directory of `makeDirectory`. */
export function dropDirectory(directory: string): void {
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  directories.delete(directory);
}

/** Takes a directory of `makeDirectory` off the list: somebody wants to look into it. */
export function keepDirectory(directory: string): void {
  directories.delete(directory);
}

/** From now on nothing on the list survives this process, unless it is killed with SIGKILL. */
export function leaveNothingBehind(): void {
  process.on("exit", () => {
    for (const [child, signal] of children) child.kill(signal);
    const until = Date.now() + patienceMs;
    for (const child of children.keys()) {
      // Our event loop has stopped, so nobody reaps: an ended child stays a zombie and counts as ended.
      while (isRunning(child) && Date.now() < until) Atomics.wait(pause, 0, 0, 20);
      if (isRunning(child)) child.kill("SIGKILL");
    }
    for (const directory of directories) dropDirectory(directory);
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => process.exit(128 + constants.signals[signal]));
  }
}

function isRunning(child: ChildProcess): boolean {
  try {
    const stat = readFileSync(`/proc/${child.pid}/stat`, "latin1");
    return stat[stat.lastIndexOf(")") + 2] !== "Z";
  } catch {
    return process.platform !== "linux" && child.exitCode === null && child.signalCode === null;
  }
}
