/**
 * A process with all that it starts: a process group.
 *
 * Owns: signalling one, and its end when this process was killed with SIGKILL, which nobody can handle: a shell waits beside it
 * for that. Does not own: when a group has to end.
 * Invariant: the guard has nothing to do with the terminal and ends with whatever it guards; without it (no /bin/sh,
 * Windows) only an end by SIGKILL leaves a group running. On Windows the tree below the child takes the place of the group.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";

/** Whether a group has a guard here. */
export const guardsGroups = process.platform !== "win32";

const script = 'kill -s TERM -- "-$1" && sleep 3 && kill -s KILL -- "-$1"';

/** Guards the group of a child that was started `detached`. Returns how to end that, for when the group has ended. */
export function guardGroup({ pid: group }: ChildProcess): () => void {
  return group === undefined ? () => {} : startGuard(script, String(group));
}

/**
 * Starts a shell that runs the script when this process is gone, however it ended. Returns how to end that before.
 * The parameters are `$1` and so on.
 */
export function startGuard(script: string, ...parameters: readonly string[]): () => void {
  if (!guardsGroups) return () => {};
  // `read` gets a line when all is well, and the end of the pipe when its only writer is gone.
  const guard = spawn("/bin/sh", ["-c", `read -r line && exit\n${script}`, "pglite-devdb-guard", ...parameters], {
    cwd: "/",
    // A group of its own: Ctrl-C is not for it.
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  guard.on("error", () => {});
  guard.stdin.on("error", () => {});
  guard.unref();
  // It is a socket, which would hold this process like the shell itself.
  (guard.stdin as unknown as { unref?: () => void }).unref?.();
  return () => void guard.stdin.end("ended\n");
}

/** Signals the group (0 only asks); false if nobody is left in it. */
export function signalGroup(child: ChildProcess, signal: NodeJS.Signals | 0): boolean {
  if (child.pid === undefined) return false;
  if (process.platform === "win32") {
    // There are no signals on Windows, and a console sends Ctrl-C to the child by itself.
    if (signal !== "SIGINT" && signal !== 0) {
      spawnSync("taskkill", ["/pid", String(child.pid), "/T", "/F"], { stdio: "ignore" });
    }
    return child.exitCode === null;
  }
  try {
    process.kill(-child.pid, signal);
    return true;
  } catch {
    return false;
  }
}
