/**
 * Commands whose own children must not outlive this process either.
 *
 * Owns: the list of process groups and their end. Does not own: single processes (`bench/leftovers.ts`).
 * Invariant: who is on the list was started with `detached`, so that the group is its own.
 */
import type { ChildProcess } from "node:child_process";

const groups = new Set<ChildProcess>();

process.on("exit", () => {
  for (const { pid } of groups) {
    try {
      process.kill(-pid!, "SIGKILL");
    } catch {
      // It has ended meanwhile.
    }
  }
});

/** Puts a child and its group on the list until its output is closed. */
export function holdGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  groups.add(child);
  child.once("close", () => groups.delete(child));
}
