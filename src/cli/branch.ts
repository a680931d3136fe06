/**
 * `pglite-devdb branch`: makes, shows, compares and drops branches on a server that runs.
 *
 * Owns: its words. Does not own: how a server is found (`running-server.ts`), how it makes a branch (`dev-db/server-branches.ts`), how two are
 * compared (`branch-diff.ts`).
 * Invariant: stdout gets URLs, or differences, and nothing else.
 */
import { randomBytes } from "node:crypto";
import { Option } from "commander";
import { ensureBranch } from "../dev-db/server-branches.ts";
import { branchDatabase, readBranch } from "../engine/branches.ts";
import { ExitCode, UsageError } from "../errors.ts";
import { withDatabase } from "../options/server-url.ts";
import { diffBranches, differentExitCode } from "./branch-diff.ts";
import type { CliCommand } from "./command.ts";
import { connectionOf, inWords, type NamedServer, queryServer, serverUrl, urlFlag, urlHelp } from "./running-server.ts";

/** The command `branch`. */
export const branchCommand: CliCommand = {
  name: "branch",
  usage: "[NAME | ls | diff [A] B | rm NAME]",
  summary: "make, list, compare or drop branches of a running server's database",
  options: [],
  configure(command) {
    command.addOption(urlFlag);
    for (const flag of diffFlags) command.addOption(flag);
    command.configureHelp({ formatHelp: () => helpText });
  },
  async run(operands, _options, { environment, stdout }, flags) {
    const server = serverUrl(flags.url, environment);
    const [word, name, more] = operands;
    const { database: source } = server;
    const print = (database: string) => stdout.write(`${withDatabase(server.given, database)}\n`);
    if (word === "diff") {
      const { text, same } = await diffBranches(server, operands.slice(1), flags);
      stdout.write(`${text}\n`);
      return same ? ExitCode.ok : differentExitCode;
    }
    const stray = diffFlags.find((flag) => flags[flag.attributeName()] !== undefined);
    if (stray) throw new UsageError(`branch: ${stray.long} can be used only with branch diff`);
    const extra = word === "rm" ? more : name;
    if (extra !== undefined) throw new UsageError(`branch: ${JSON.stringify(extra)} is an argument too many`);
    const list = async () => (await ask(server, source, branchesSql)).map(([database]) => database!);
    if (word === "ls") {
      for (const database of await list()) if (readBranch(database)) print(database);
      return ExitCode.ok;
    }
    if (word === "rm") {
      if (name === undefined) throw new UsageError("branch rm: name the branch to drop: pglite-devdb branch rm NAME");
      await ask(server, source, `drop database "${branchDatabase(source, name)}" with (force)`);
      return ExitCode.ok;
    }
    const database = branchDatabase(source, word ?? `b${randomBytes(4).toString("hex")}`);
    const wanted = { url: withDatabase(server.url, database), ...connectionOf("branch"), database, template: source };
    await inWords("branch", () => ensureBranch(wanted, (sql) => query(server, source, sql)));
    print(database);
    return ExitCode.ok;
  },
};

const diffFlags = [
  new Option("-o, --output <form>"),
  new Option("--schema-only"),
  new Option("--exclude <pattern>").argParser((pattern: string, all: string[] = []) => [...all, pattern]),
  new Option("--with-ledgers"),
];

const branchesSql = "select datname from pg_database where datconnlimit <> -2 order by oid";

const helpText = `Usage: pglite-devdb branch [--url URL] [NAME | ls | diff [A] B | rm NAME]

A branch is a copy of a database as it is now, made in milliseconds: see docs/branches.md.

  branch [NAME]   make the branch NAME, or one with a free name, unless it exists; print its URL
  branch ls       print the URLs of all branches
  branch rm NAME  drop the branch and end its connections
  branch diff [A] B
                  compare B with A: the schemas, and the number of rows of each table. A and B are names of branches or
                  databases; the default of A is the URL's database. Exit codes: 0 same, 1 different, 2 failed
                  -o, --output text|json   [default text]
                  --schema-only            do not count rows
                  --exclude PATTERN        leave out NAME or SCHEMA.NAME, with * and ?, and its dependent objects; repeatable
                  --with-ledgers           include the tables of migration tools
${urlHelp}`;

function ask(server: NamedServer, database: string, sql: string) {
  return inWords("branch", () => query(server, database, sql));
}

function query({ url }: NamedServer, database: string, sql: string) {
  return queryServer(withDatabase(url, database), "branch", [sql]);
}
