/**
 * The end of a command whose `run` was killed with SIGKILL, which nobody can handle.
 *
 * Owns: a shell that waits beside `run` and ends the command's process group when `run` is gone. Does not own: the ends that
 * `run` sees itself (`child.ts`).
 * Invariant: the guard has nothing to do with the terminal and ends with whatever it guards; without it (no /bin/sh,
 * Windows) only an end by SIGKILL leaves the command running.
 */
import { spawn } from "node:child_process";

// `read` gets a line when all is well, and the end of the pipe when its only writer is gone.
const script = 'read -r line && exit; kill -s TERM -- "-$1" && sleep 3 && kill -s KILL -- "-$1"';

/** Guards a process group. Returns how to end that, for when the group has ended. */
export function guardGroup(group: number): () => void {
  const guard = spawn("/bin/sh", ["-c", script, "pglite-devdb-guard", String(group)], {
    cwd: "/",
    // A group of its own: Ctrl-C is not for it.
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  guard.on("error", () => {});
  guard.stdin.on("error", () => {});
  guard.unref();
  return () => void guard.stdin.end("ended\n");
}
