/**
 * The password of the superuser `postgres` in a native cluster. Every user of the machine can connect to the port, and a superuser can run programs.
 *
 * Owns: making the password, its file in the data directory, and adding a password to an older cluster without one. Does not own: initdb
 * (`cluster.ts`).
 * Invariant: the password is never in a process's arguments or environment; only the server's user can read its files.
 */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chownSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ExitCode } from "../../errors.ts";
import { inTemporaryDirectory } from "../../system/temporary.ts";
import type { Programs, ProgramUser } from "./programs.ts";

const fileName = "pglite_devdb.password";

/** Makes a random password that needs no escape in a URL. */
export function makePassword(): string {
  return randomBytes(18).toString("base64url");
}

/** Saves the password in a data directory. */
export function keepPassword(data: string, password: string, user: ProgramUser): void {
  const file = join(data, fileName);
  writePrivately(`${file}.new`, password, user);
  renameSync(`${file}.new`, file);
}

/** Returns the path of the password file, for messages. */
export function passwordFileOf(data: string): string {
  return join(data, fileName);
}

/** Returns a cluster's password. Gives a password to a cluster without one. Rejects with PostgreSQL's error. */
export async function passwordOf(
  data: string,
  programs: Programs,
  user: ProgramUser,
  env: NodeJS.ProcessEnv,
): Promise<string> {
  try {
    return readFileSync(join(data, fileName), "utf8").trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const password = makePassword();
  await alterPassword(data, password, programs, user, env);
  const access = join(data, "pg_hba.conf");
  const rules = readFileSync(access, "utf8");
  writePrivately(`${access}.new`, rules.replaceAll(/^((?:local|host)\b.*\s)trust\s*$/gm, "$1scram-sha-256"), user);
  renameSync(`${access}.new`, access);
  // Last, so that the next start repeats all steps after a kill.
  keepPassword(data, password, user);
  return password;
}

/** Runs `use` with a file that has the password, for the server's user. */
export async function withPasswordFile<T>(
  password: string,
  user: ProgramUser,
  use: (file: string) => Promise<T>,
): Promise<T> {
  const directory = inTemporaryDirectory("--engine postgres", () =>
    mkdtempSync(join(tmpdir(), "pglite-devdb-initdb-")),
  );
  try {
    if (user) chownSync(directory, user.uid, user.gid);
    const file = join(directory, "password");
    inTemporaryDirectory("--engine postgres", () => writePrivately(file, password, user));
    return await use(file);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function writePrivately(file: string, text: string, user: ProgramUser): void {
  rmSync(file, { force: true });
  writeFileSync(file, text, { mode: 0o600, flag: "wx" });
  if (user) chownSync(file, user.uid, user.gid);
}

/** Sets the password in single-user mode, in which no client can connect. */
function alterPassword(
  data: string,
  password: string,
  { postgres }: Programs,
  user: ProgramUser,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      postgres,
      ["--single", "-D", data, "postgres"],
      { cwd: data, env, ...user },
      (error, _, stderr) => {
        // Single-user mode continues after an error in a statement, and exits with 0.
        if (!error && !/\b(ERROR|FATAL|PANIC): /.test(stderr)) return resolve();
        const said = (stderr || error?.message || "").trim().replaceAll("\n", "\n  ");
        const sentence = `could not give the cluster in ${data} a password:\n  ${said}`;
        reject(Object.assign(new Error(sentence), { exitCode: ExitCode.failure }));
      },
    );
    child.stdin!.on("error", () => {});
    child.stdin!.end(`ALTER ROLE postgres PASSWORD '${password}'\n`);
  });
}
