/**
 * fsync of this process, counted at Node, or failing.
 *
 * Owns: nothing else; every call is the real one unless it is told to fail. Undone with the test.
 */
import fs, { readlinkSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { onTestFinished } from "vitest";

/** From now on the paths of its calls, or the descriptors where there is no /proc. */
export function noteFsyncs(): string[] {
  const calls: string[] = [];
  replaceFsync((path) => void calls.push(path));
  return calls;
}

/** Lets those fail whose path is such a one, until the result is called. */
export function failFsyncs(fails: (path: string) => boolean): () => void {
  return replaceFsync((path) => {
    if (fails(path))
      throw Object.assign(new Error("EIO: i/o error, fsync"), { code: "EIO", errno: -5, syscall: "fsync" });
  });
}

function replaceFsync(before: (path: string) => void): () => void {
  const { fsyncSync } = fs;
  fs.fsyncSync = (descriptor) => {
    before(process.platform === "linux" ? readlinkSync(`/proc/self/fd/${descriptor}`) : String(descriptor));
    fsyncSync(descriptor);
  };
  syncBuiltinESMExports();
  const undo = () => {
    fs.fsyncSync = fsyncSync;
    syncBuiltinESMExports();
  };
  onTestFinished(undo);
  return undo;
}
