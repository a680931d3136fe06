/**
 * Runs a script that only psql understands with the installed psql.
 *
 * Owns: the process and its output. Does not own: which scripts need it (`migrate/check-migration.ts`).
 * Invariant: the first error ends it; the process does not outlive the call.
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { MigrationError } from "../errors.ts";
import type { Log } from "../options.ts";
import { environmentWith } from "./address.ts";

/** The database for the script: a URL, or libpq's variables. */
interface PsqlTarget {
  readonly url?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** How messages call the file, if not by its path. */
  readonly name?: string;
}

/** Runs a file. Resolves to false if psql is not installed. Rejects with a `MigrationError` that has psql's messages. */
export async function runPsql(
  file: string,
  { url, environment = {}, name = file }: PsqlTarget,
  log: Log,
): Promise<boolean> {
  const args = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", file, ...(url === undefined ? [] : ["-d", url])];
  const child = spawn("psql", args, {
    env: environmentWith(process.env, environment),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const errors: string[] = [];
  createInterface(child.stdout).on("line", (line) => log("debug", `psql: ${line}`));
  createInterface(child.stderr).on("line", (said) => {
    const line = said.replace(`psql:${file}:`, () => `psql:${name}:`);
    if (/\b(ERROR|FATAL|error):/.test(line) || errors.length > 0) errors.push(line);
    else log("info", line);
  });
  const code = await new Promise<number | undefined>((resolve, reject) => {
    child.once("error", (error: NodeJS.ErrnoException) =>
      error.code === "ENOENT" ? resolve(undefined) : reject(error),
    );
    child.once("close", (status) => resolve(status ?? 1));
  });
  if (code === undefined) return false;
  if (code !== 0) {
    const why = errors.join("\n") || `psql ended with ${code}`;
    throw new MigrationError(`${why}\n  What psql had committed before this stays applied.`);
  }
  return true;
}
