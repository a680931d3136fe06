/**
 * The files of a native PostgreSQL: in a directory that was named, or a temporary one.
 *
 * Owns: where they are in it, making them by initdb, and telling such a directory from one of PGlite's. Does not own: the server (`native.ts`).
 * Invariant: a cluster has its final name when it is whole; a directory with anything else in it is left as it is.
 */
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { chownSync, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  clusterName,
  readClusterDirectory,
  unfinishedClusterName,
} from "../../engine/data-directory/data-directory.ts";
import { lockDirectory } from "../../engine/data-directory/directory-lock.ts";
import { DataDirectoryError, ExitCode } from "../../errors.ts";
import { inTemporaryDirectory } from "../../system/temporary.ts";
import type { CleanupStack } from "../cleanup.ts";
import { keepPassword, makePassword, passwordOf, withPasswordFile } from "./cluster-password.ts";
import { guardDirectory, guardServer } from "./guard.ts";
import type { Programs, ProgramUser } from "./programs.ts";

/** A directory in which a cluster is or can be. */
interface ClusterPlace {
  readonly directory: string;
  /** Whether it goes with the server. */
  readonly isTemporary: boolean;
}

/** A temporary directory, which goes at the end. */
export function temporaryPlace(cleanup: CleanupStack): Promise<ClusterPlace> {
  return cleanup.open(
    async () => {
      const directory = join(tmpdir(), `pglite-devdb-postgres-${randomUUID()}`);
      // Before there is anything to leave.
      const endGuard = guardDirectory(directory);
      inTemporaryDirectory("--engine postgres", () => mkdirSync(directory, { mode: 0o700 }));
      return { directory, isTemporary: true, endGuard };
    },
    ({ directory, endGuard }) => {
      rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
      endGuard();
    },
  );
}

/** A directory by its name, which nobody else may use meanwhile. Rejects with a `DataDirectoryError`. */
export async function namedPlace(directory: string, cleanup: CleanupStack): Promise<ClusterPlace> {
  let found: ReturnType<typeof readClusterDirectory>;
  try {
    mkdirSync(directory, { recursive: true });
    found = readClusterDirectory(directory);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new DataDirectoryError(`${directory} cannot be used as a data directory (${code})`, { cause: error });
  }
  const { clusters, others } = found;
  if (others.length > 0 && !clusters.includes(clusterName)) {
    const what = others.includes("PG_VERSION")
      ? "is a data directory of the engine pglite"
      : `holds other files (${others.slice(0, 3).join(", ")})`;
    throw new DataDirectoryError(
      `${directory} ${what}; name another directory for --engine postgres. Data gets from one to the other by pglite-devdb dump and restore`,
    );
  }
  await cleanup.open(
    () => lockDirectory(directory),
    (lock) => lock.release(),
  );
  return { directory, isTemporary: false };
}

/** A cluster, and the password of its user `postgres`. */
interface Cluster {
  readonly data: string;
  readonly password: string;
}

/** The cluster there, which is made unless it is there. Rejects with what initdb says. */
export async function ensureCluster(
  place: ClusterPlace,
  programs: Programs,
  user: ProgramUser,
  signal: AbortSignal,
): Promise<Cluster> {
  const { directory } = place;
  const data = join(directory, clusterName);
  if (existsSync(data)) return { data, password: await passwordOf(data, programs, user, withoutPostgres()) };
  const made = join(directory, unfinishedClusterName);
  rmSync(made, { recursive: true, force: true });
  mkdirSync(made, { mode: 0o700 });
  if (user) {
    chownSync(made, user.uid, user.gid);
    if (place.isTemporary) chownSync(directory, user.uid, user.gid);
  }
  const password = makePassword();
  await withPasswordFile(password, user, (file) => runInitdb(place, programs, made, file, user, signal));
  keepPassword(made, password, user);
  renameSync(made, data);
  return { data, password };
}

function runInitdb(
  { directory, isTemporary }: ClusterPlace,
  { initdb }: Programs,
  made: string,
  passwordFile: string,
  user: ProgramUser,
  signal: AbortSignal,
): Promise<void> {
  // As those of PGlite.
  const locale = process.platform === "linux" ? ["--locale=C", "--lc-ctype=C.UTF-8"] : ["--no-locale"];
  const options = ["-D", made, "-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8", "-N", ...locale];
  return new Promise<void>((resolve, reject) => {
    const child = execFile(
      initdb,
      [...options, `--pwfile=${passwordFile}`],
      { cwd: directory, env: withoutPostgres(), ...user },
      // It and whatever it has started have ended: nobody writes there any more.
      (error, stdout, stderr) => {
        signal.removeEventListener("abort", end);
        endGuard();
        if (signal.aborted) return reject(signal.reason);
        if (!error) return resolve();
        const said = (stderr || stdout || error.message).trim().replaceAll("\n", "\n  ");
        reject(Object.assign(new Error(`initdb failed in ${directory}:\n  ${said}`), { exitCode: ExitCode.failure }));
      },
    );
    const endGuard = guardServer(child, isTemporary ? directory : undefined);
    const end = () => void child.kill();
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}

/** The environment without what PostgreSQL's programs would take from it. */
export function withoutPostgres(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(PG|LC_|LANG)/.test(name)));
}
