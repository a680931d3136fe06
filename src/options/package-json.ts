/**
 * The `pglite-devdb` key of a project's package.json.
 *
 * Owns: finding and reading it. Does not own: the validation of what it holds (`options.ts`).
 * Invariant: a missing file and a missing key are no options; a file that cannot be read is an error that names it.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "../errors.ts";

/** Reads the key from `directory`/package.json; undefined if there is none. Throws a `UsageError` for broken JSON. */
export function readPackageJsonOptions(directory: string): unknown {
  const file = join(directory, "package.json");
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new UsageError(`${file} cannot be read (${code})`, { cause: error });
  }
  let data: unknown;
  try {
    data = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    throw new UsageError(`${file} is not valid JSON: ${(error as Error).message}`, { cause: error });
  }
  if (typeof data !== "object" || data === null || !Object.hasOwn(data, "pglite-devdb")) return undefined;
  return (data as Record<string, unknown>)["pglite-devdb"];
}
