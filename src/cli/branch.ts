/**
 * `pglite-devdb branch`: makes, shows and drops branches on a server that runs.
 *
<<<<<<< HEAD
 * Owns: its words and flags, and how a server is found. Does not own: how a server makes one (`dev-db/server-branches.ts`).
 * Invariant: stdout gets URLs and nothing else.
 */
import { randomBytes } from "node:crypto";
import { Option } from "commander";
import { ensureBranch } from "../dev-db/server-branches.ts";
import { ServerClient } from "../dev-db/server-client.ts";
import { branchDatabase, readBranch } from "../engine/branches.ts";
import { executeSql } from "../engine/execute-sql.ts";

=======
 * Owns: its words. Does not own: how a server is found (`running-server.ts`); making a branch, which the server does at the login of who asks
 * for it (`transport/isolated-queue.ts`).
 * Invariant: stdout gets URLs and nothing else.
 */

import { randomBytes } from "node:crypto";
import { branchDatabase, makesBranch, readBranch } from "../engine/branches.ts";

>>>>>>> d8bcb06 (pglite-devdb clock: the time of a server that runs)

import { ExitCode, UsageError } from "../errors.ts";
import type { CliCommand } from "./command.ts";
import { askServer, serverUrl, urlFlag, urlHelp, urlOf } from "./running-server.ts";

/** The command `branch`. */
export const branchCommand: CliCommand = {
  name: "branch",
  usage: "[NAME | ls | rm NAME]",
  summary: "make a branch of the database of a server that runs, and print its URL; list branches; drop one",
  options: [],
  configure(command) {
    command.addOption(urlFlag);
    command.configureHelp({ formatHelp: () => helpText });
  },
  async run(operands, _options, { environment, stdout }, flags) {
    const url = serverUrl(flags.url, environment);
    const [word, name, more] = operands;
    const extra = word === "rm" ? more : name;
    if (extra !== undefined) throw new UsageError(`branch: ${JSON.stringify(extra)} is an argument too many`);
    const source = decodeURIComponent(url.pathname.slice(1)) || "postgres";
    const list = async () => (await ask(url, source, branchesSql)).map(([database]) => database!);
    if (word === "ls") {
      for (const database of await list()) if (readBranch(database)) stdout.write(`${urlOf(url, database)}\n`);
      return ExitCode.ok;
    }
    if (word === "rm") {
      if (name === undefined) throw new UsageError("branch rm: name the branch to drop: pglite-devdb branch rm NAME");
      await ask(url, source, `drop database "${branchDatabase(source, name)}" with (force)`);
      return ExitCode.ok;
    }
    const database = branchDatabase(source, word ?? `b${randomBytes(4).toString("hex")}`);
    await inWords(() => makeBranch(url, source, database));
    stdout.write(`${urlOf(url, database)}\n`);
    return ExitCode.ok;
  },
};

const branchesSql = "select datname from pg_database where datconnlimit <> -2 order by oid";

const helpText = `Usage: pglite-devdb branch [--url URL] [NAME | ls | rm NAME]

A branch is a copy of a database as it is now, made in milliseconds: see docs/branches.md.

  branch [NAME]   makes the branch NAME, or one with a free name, and prints its URL; if it is there, only that
  branch ls       prints the URLs of all branches
  branch rm NAME  drops it; whoever is connected to it is ended
${urlHelp}`;

<<<<<<< HEAD
function makeBranch(url: URL, source: string, database: string): Promise<void> {
  return ensureBranch({ url: urlOf(url, database), ...connecting, database, template: source }, (sql) =>
    query(url, source, sql),
  );
}

const connecting = { parameters: { application_name: "pglite-devdb branch" }, silenceMs };

async function query(url: URL, database: string, sql: string) {
  const client = await ServerClient.connect(urlOf(url, database), connecting);
  try {
    return (await executeSql(client, sql)).at(-1)?.rows ?? [];
  } finally {
    client.close();
  }
}

function ask(url: URL, database: string, sql: string) {
  return inWords(() => query(url, database, sql));
}

async function inWords<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { message } = error as Error;
    if (error instanceof UsageError) throw new UsageError(`branch: ${message}; --url names another server`);
    if (!(error instanceof DatabaseError)) throw error;
    const more = [error.fields.get("D"), error.fields.get("H")].filter((text) => text !== undefined);
    throw Object.assign(new Error([`branch: ${message}`, ...more].join("; ")), { exitCode: ExitCode.failure });
  }
=======
async function ask(url: URL, database: string, sql: string) {
  const isUnknown = (code: string | undefined) => code === "3D000" && readBranch(database) && sql === "select 1";
  return askServer(urlOf(url, database), {
    command: "branch",
    statements: [sql],
    parameters: makesBranch,
    explain: (code) => (isUnknown(code) ? "; branches need a pglite-devdb with isolated sessions" : ""),
  });
>>>>>>> d8bcb06 (pglite-devdb clock: the time of a server that runs)
}
