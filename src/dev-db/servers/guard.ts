/**
 * The end of a native PostgreSQL when this process was killed with SIGKILL, which nobody can handle: a shell waits beside it for that.
 *
 * Owns: what that shell does. Does not own: the shell (`../process-group.ts`), an end in order (`native.ts`).
 * Invariant: it has nothing to do with the terminal, ends with what it guards, and removes the directory that it was given, if any.
 * PostgreSQL's backends are in no group of their parent's: only the server itself is told, by the signal for a fast shutdown, and a
 * while later by the one for an immediate shutdown.
 */
import type { ChildProcess } from "node:child_process";
import { startGuard } from "../process-group.ts";

const script = `n=0
if [ -n "$1" ]; then
kill -s INT "$1"
while kill -s 0 "$1" && [ $n -lt 8 ]; do n=$((n+1)); [ $n -eq 4 ] && kill -s QUIT "$1"; sleep 1; done
else sleep 9; fi
[ -n "$2" ] && rm -rf -- "$2"`;

/** Guards a process, and a directory that is to go with it. Returns how to end that, for when the process has ended. */
export function guardServer({ pid }: ChildProcess, directory = ""): () => void {
  return pid === undefined ? () => {} : startGuard(script, String(pid), directory);
}

/**
 * Guards a directory that is about to be made, whatever process will be in it: it goes when the guards of those have had their time.
 * Returns how to end that.
 */
export function guardDirectory(directory: string): () => void {
  return startGuard(script, "", directory);
}
