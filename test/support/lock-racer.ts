/**
 * A process that takes and releases the lock of a data directory when it is told to: see `lock-racers.ts`.
 *
 * Owns: one attempt at a time. Does not own: who should win. Invariant: it ends with its parent.
 */
import { type DirectoryLock, lockDirectory } from "../../src/engine/data-directory/directory-lock.ts";

let lock: DirectoryLock | undefined;

process.on("message", async (path: string) => {
  if (path === "") {
    await lock?.release();
    process.send!(null);
    return;
  }
  try {
    lock = await lockDirectory(path);
    process.send!(null);
  } catch (error) {
    process.send!(error instanceof Error ? error.message : String(error));
  }
});
process.on("disconnect", () => process.exit());
process.send!(null);
