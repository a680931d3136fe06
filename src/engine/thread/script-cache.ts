/**
 * What V8 makes of this program's own JavaScript, kept in the user's cache by Node (its "module compile cache").
 *
 * Owns: whether it is used, and where it is. Does not own: its files, which Node writes when a thread ends and reads with checks of
 * its own; which of them go (`cache-pruning.ts`).
 * Invariant: it is a setting of the thread that asks for it, which other threads and processes do not have from it; where it cannot
 * be, nothing is different. `NODE_COMPILE_CACHE` and `NODE_DISABLE_COMPILE_CACHE` win.
 */
import module from "node:module";
import { join } from "node:path";
import { cacheIfTrusted } from "./user-cache.ts";

/** In the user's cache; Node has a directory below it for each version of its own, each processor, flags and user. */
export const scriptsDirectory = "scripts";

/**
 * Has the modules that this thread loads from now on taken from there, and kept there. Not before there is a cache: that comes with the
 * first server on a machine, and what only asks for help leaves nothing behind.
 */
export function useScriptCache(): void {
  const cache = cacheIfTrusted();
  // Node 20 and the first of 22 have none.
  if (cache !== undefined) module.enableCompileCache?.(join(cache, scriptsDirectory));
}
