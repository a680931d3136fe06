/**
 * libpq's password file, `~/.pgpass`.
 *
 * Owns: the file's path, and the choice of the line. Does not own: when the file is read.
 * Invariant: as in libpq, a file that others may read is not used.
 */
import { readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** The fields that a line must match. */
interface Login {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

/** The file that libpq reads if no other is named. */
export function defaultPassfile(environment: NodeJS.ProcessEnv): string {
  return process.platform === "win32"
    ? join(environment.APPDATA ?? homedir(), "postgresql", "pgpass.conf")
    : join(homedir(), ".pgpass");
}

/** The password in the first line that matches; undefined if no line does. */
export function passwordFromFile(file: string, { host, port, database, user }: Login): string | undefined {
  const wanted = [host, String(port), database, user];
  for (const line of linesOf(file)) {
    if (line.startsWith("#")) continue;
    const fields = fieldsOf(line);
    if (fields.length <= wanted.length) continue;
    const matches = wanted.every((value, at) => fields[at]!.raw === "*" || fields[at]!.text === value);
    if (matches) return fields[wanted.length]!.text;
  }
  return undefined;
}

function linesOf(file: string): string[] {
  try {
    const { mode } = statSync(file);
    if (process.platform !== "win32" && (mode & 0o077) !== 0) return [];
    return readFileSync(file, "utf8").split(/\r?\n/);
  } catch {
    return [];
  }
}

/** Returns the fields between colons; `\` makes the next character an ordinary one. */
function fieldsOf(line: string): { raw: string; text: string }[] {
  const fields = [""];
  for (const [part] of line.matchAll(/\\.|[^:\\]+|:|\\/gs)) {
    if (part === ":") fields.push("");
    else fields[fields.length - 1] += part;
  }
  return fields.map((raw) => ({ raw, text: raw.replaceAll(/\\(.)/gs, "$1") }));
}
