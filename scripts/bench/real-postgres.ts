/**
 * A real PostgreSQL for the benchmark, where one is installed.
 *
 * Owns: finding the programs, a cluster in a temporary directory, the server's settings. Does not own: measuring, whom
 * PostgreSQL can run as.
 * Invariant: it listens on 127.0.0.1 only, on a port that was free, without a Unix socket; fsync is off, because the
 * other targets keep their data in memory.
 */
import { execFile } from "node:child_process";
import { accessSync, chownSync, constants, readdirSync, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { freePort } from "../../src/dev-db/servers/free-port.ts";
import { type ProgramUser, systemUser } from "../../src/dev-db/servers/programs.ts";
import { dropDirectory, holdChild, makeDirectory } from "./leftovers.ts";
import { type Endpoint, openSocketLink } from "./link.ts";
import { ServerProcess } from "./server-process.ts";

/** What the settings give away, for the report. */
export const postgresSettings = "fsync off, all else as initdb leaves it";

/** The directory of the newest installed PostgreSQL's programs, or `undefined`. */
export function findPostgres(): string | undefined {
  const debian = "/usr/lib/postgresql";
  const versions = listDirectory(debian).sort((a, b) => Number(b) - Number(a));
  const onPath = (process.env.PATH ?? "")
    .split(delimiter)
    .filter((directory) => isExecutable(join(directory, "initdb")));
  const candidates = [
    ...versions.map((version) => join(debian, version, "bin")),
    // A distribution may put links to single programs on the PATH; the server is beside the real file.
    ...onPath.map((directory) => dirname(realpathSync(join(directory, "initdb")))),
  ];
  return candidates.find((directory) => ["initdb", "postgres"].every((name) => isExecutable(join(directory, name))));
}

/** One cluster on disk; at most one server runs on it at a time. */
export class PostgresCluster {
  readonly #programs: string;
  readonly #directory: string;
  readonly #user: ProgramUser;

  private constructor(programs: string, directory: string, user: ProgramUser) {
    this.#programs = programs;
    this.#directory = directory;
    this.#user = user;
  }

  /** Runs initdb in a fresh temporary directory. Rejects with what initdb said. */
  static async create(programs: string): Promise<PostgresCluster> {
    const user = process.getuid?.() === 0 ? systemUser() : undefined;
    const directory = makeDirectory();
    if (user !== undefined) chownSync(directory, user.uid, user.gid);
    const args = ["-D", join(directory, "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"];
    const initdb = promisify(execFile)(join(programs, "initdb"), args, { cwd: directory, ...user });
    holdChild(initdb.child, "SIGTERM");
    await initdb;
    return new PostgresCluster(programs, directory, user);
  }

  /** Starts the server and resolves when a client was let in. */
  async start(): Promise<{ server: ServerProcess; endpoint: Endpoint }> {
    const endpoint = { host: "127.0.0.1", port: await freePort(), user: "postgres", database: "postgres" };
    const settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"];
    const server = new ServerProcess({
      file: join(this.#programs, "postgres"),
      args: ["-D", join(this.#directory, "data"), "-p", `${endpoint.port}`, ...settings.flatMap((s) => ["-c", s])],
      cwd: this.#directory,
      user: this.#user,
      stopSignal: "SIGINT", // "fast shutdown"
      haltSignal: "SIGQUIT", // "immediate shutdown": without a checkpoint, but it takes its processes and shared memory along
    });
    let over = false;
    void server.exited.then(() => {
      over = true;
    });
    await server.raceExit(letIn(endpoint, () => over));
    return { server, endpoint };
  }

  /** Removes the directory; the server has been stopped before. */
  drop(): void {
    dropDirectory(this.#directory);
  }
}

async function letIn(endpoint: Endpoint, givenUp: () => boolean): Promise<void> {
  while (!givenUp()) {
    try {
      const link = await openSocketLink(endpoint);
      return await link.close();
    } catch {
      await delay(2); // not listening yet, or "the database system is starting up"
    }
  }
}

function listDirectory(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
