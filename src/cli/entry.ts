#!/usr/bin/env node
/**
 * The entry of the command line: what all of the rest is loaded with.
 *
 * Owns: whether Node keeps in the user's cache what V8 makes of the rest. Does not own: the rest (`main.ts`).
 * Invariant: as little as possible is loaded before; an option that is wrong is not said here, and means that nothing is kept.
 */
import { useScriptCache } from "../engine/thread/script-cache.ts";
import { readPackageJsonOptions } from "../options/package-json.ts";
import { yesOrNo } from "../options/value-kinds.ts";

if (mayUseCache()) useScriptCache();
await import("./main.ts");

/** What `--no-cache` and its like come to, before there is somebody who reads options; that of a command of `run` counts, too. */
function mayUseCache(): boolean {
  const { DEV_DB_CACHE: given } = process.env;
  if (process.argv.includes("--no-cache")) return false;
  if (given !== undefined) return yesOrNo.fromText(given) === true;
  try {
    const options = readPackageJsonOptions(process.cwd()) as { readonly cache?: unknown } | null | undefined;
    return (options?.cache ?? true) === true;
  } catch {
    return false;
  }
}
