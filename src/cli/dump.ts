/**
 * `pglite-devdb dump` and `pglite-devdb restore`: a database as SQL, out and in.
 *
 * Owns: which database it is, and where the SQL comes from or goes to. Does not own: pg_dump (`dev-db/dump.ts`), the running of SQL
 * (`migrate/`).
 * Invariant: data in a directory is neither migrated nor seeded for this; with the URL of a server no other one is started.
 */
import { createWriteStream, existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { controlDevDb } from "../dev-db/control.ts";
import { dumpDatabase } from "../dev-db/dump.ts";
import { urlOfEngine } from "../dev-db/engines.ts";
import { runPsql } from "../dev-db/psql.ts";
import { ServerClient } from "../dev-db/server-client.ts";
import { UsageError } from "../errors.ts";
import { NeedsPsqlError, restoreSql } from "../migrate/index.ts";
import { isServerUrl, withoutPassword } from "../options/server-url.ts";
import type { Log, Progress, ResolvedOptions } from "../options.ts";
import { type CliCommand, type CommandContext, serverOptions } from "./command.ts";
import { logTo } from "./log.ts";
import { ProgressLine } from "./progress.ts";
import { inWords, namedServer } from "./running-server.ts";
import { listenForSignals, signalExitCode } from "./signals.ts";

const isUrl = (text: string | undefined) => text !== undefined && isServerUrl(text);

/** The command `dump`. */
export const dumpCommand: CliCommand = {
  name: "dump",
  usage: "[options] [URL] [-- PG_DUMP_OPTION...]",
  summary:
    "print the database of --db DIR, or of the server at URL, as SQL (pg_dump); pass pg_dump's options after --, for example -- --schema-only",
  options: serverOptions("other"),
  async run(operands, options, context) {
    const url = isUrl(operands[0]) ? operands[0] : undefined;
    const forPgDump = url === undefined ? operands : operands.slice(1);
    const stray = forPgDump.find((operand) => !operand.startsWith("-"));
    if (stray !== undefined) {
      throw new UsageError(
        `dump: ${JSON.stringify(withoutPassword(stray))} is neither the URL of a server nor an option of pg_dump (--table=NAME)`,
      );
    }
    refuseFlags("dump", url, options);
    const server = namedServer("dump", url, options, context.environment);
    if (server === undefined) mustExist(options.db, context);
    const write = writerTo(context.stdout);
    try {
      await withServer(server, options, context, (at, told) =>
        inWords("dump", () => dumpDatabase(at, { arguments: forPgDump, write, ...told }), undefined, ""),
      );
    } catch (error) {
      if (error instanceof ReaderIsGone) return signalExitCode("SIGPIPE");
      throw error;
    }
    return 0;
  },
};

/** The reader of the dump (`| head`) has ended. */
class ReaderIsGone extends Error {}

/** Resolves when a piece is written. Any write error other than `ReaderIsGone` ends the process: `main.ts` handles it. */
function writerTo(stdout: NodeJS.WriteStream): (bytes: Uint8Array) => Promise<void> {
  return (bytes) =>
    new Promise((resolve, reject) => {
      stdout.write(bytes, (error) => {
        if (!error) resolve();
        else if ((error as NodeJS.ErrnoException).code === "EPIPE") reject(new ReaderIsGone());
      });
    });
}

/** The command `restore`. */
export const restoreCommand: CliCommand = {
  name: "restore",
  usage: "[options] FILE [URL]",
  summary: "run a dump in SQL (- for stdin), in one transaction, in the database of --db DIR or of the server at URL",
  options: serverOptions("other"),
  async run([file, url, ...others], options, context) {
    if (file === undefined || others.length > 0 || (url !== undefined && !isUrl(url))) {
      throw new UsageError(
        "restore: name a file, and the URL of a server if it is not for --db DIR: pglite-devdb restore FILE [URL]",
      );
    }
    refuseFlags("restore", url, options);
    if (url === undefined && (options.db === "memory://" || urlOfEngine(options))) {
      throw new UsageError(
        "restore: name where to: --db DIR, or the URL of a server; a database in memory would be gone at once",
      );
    }
    const server = url && namedServer("restore", url, options, context.environment);
    await withServer(server, options, context, async (at, { log, progress }) => {
      const client = await inWords("restore", () => ServerClient.connect(at), undefined, "");
      try {
        await withFile(file, context, async (path, name) => {
          await restoreSql(client, path, name, log, progress).catch(async (error: unknown) => {
            if (!(error instanceof NeedsPsqlError)) throw error;
            log("info", `${name} has psql commands; psql runs it, without a transaction around the file`);
            if (!(await runPsql(path, { url: at, name }, log))) throw error;
          });
        });
      } finally {
        client.close();
      }
    });
    return 0;
  },
};

/** Nobody else connects to the server that these commands start, so the flags about where one listens are meant for a server that runs. */
const ofListeners = ["port", "host", "socketDir"] as const;
/** A URL says these itself. */
const ofUrls = ["db", "user", "database", "password"] as const;

/** Throws a `UsageError` for a flag that would be ignored. Environment and package.json are for other commands, too. */
function refuseFlags(command: string, url: string | undefined, options: ResolvedOptions): void {
  const keys = [...ofListeners, ...(url === undefined ? [] : ofUrls)];
  const flag = keys.map((key) => options.givenAs.get(key)).find((name) => name?.startsWith("-"));
  if (flag === undefined) return;
  const how =
    url === undefined
      ? `name a server that runs by its URL: pglite-devdb ${command}${command === "restore" ? " FILE" : ""} postgresql://USER:PASSWORD@HOST:PORT/DATABASE`
      : "the URL says which server and database it is";
  throw new UsageError(`${command}: ${flag} has no effect; ${how}`);
}

/** What is dumped must be there: a server would make a new database where there is none. */
function mustExist(db: string, { cwd }: CommandContext): void {
  const ofAnyEngine = ["PG_VERSION", "postgresql/PG_VERSION"];
  if (db === "memory://" || ofAnyEngine.some((file) => existsSync(resolve(cwd, db, file)))) return;
  throw new UsageError(`dump: there is no database in ${resolve(cwd, db)}`);
}

async function withServer<T>(
  url: string | undefined,
  options: ResolvedOptions,
  { cwd, environment, stderr }: CommandContext,
  use: (url: string, told: { log: Log; progress: Progress }) => Promise<T>,
): Promise<T> {
  const line = new ProgressLine(stderr, environment, options);
  const log = logTo(line, options.logLevel);
  const told = { log, progress: line.doing };
  if (url !== undefined) return use(url, told).finally(() => line.end());
  const signal = listenForSignals(() => log("error", "ending before everything is closed"));
  const asItIs = options.db === "memory://" ? {} : { migrations: ["none"], setup: undefined, seed: [] };
  const control = controlDevDb({ ...options, port: 0, ...asItIs }, { cwd, signal, ...told });
  try {
    const { url: own } = await control.start();
    return await use(own, told);
  } finally {
    line.end();
    await control.stop();
  }
}

/** A dump is read twice, so a dump from stdin is first saved in a temporary file. */
async function withFile(
  file: string,
  { cwd }: CommandContext,
  use: (path: string, name: string) => Promise<void>,
): Promise<void> {
  const path = resolve(cwd, file);
  if (file !== "-" && !existsSync(path)) throw new UsageError(`restore: could not read ${file}: no such file`);
  if (file !== "-") return use(path, path);
  const directory = await mkdtemp(join(tmpdir(), "pglite-devdb-restore-"));
  try {
    const kept = join(directory, "stdin.sql");
    await pipeline(process.stdin, createWriteStream(kept, { mode: 0o600 }));
    await use(kept, "stdin");
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
