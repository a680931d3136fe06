/**
 * `pglite-devdb wipe`: deletes the data in a directory; the next start migrates and seeds again.
 *
 * Owns: the question before the deletion. Does not own: the deletion (`dev-db/empty-directory.ts`).
 * Invariant: nothing is deleted unless the user says yes or passes `--yes`.
 */
import { resolve } from "node:path";
import { createInterface } from "node:readline/promises";
import { Option } from "commander";
import { emptyDirectory } from "../dev-db/empty-directory.ts";
import { ExitCode, UsageError } from "../errors.ts";
import { nameOf } from "../options.ts";
import type { CliCommand, CommandContext } from "./command.ts";
import { logTo } from "./log.ts";

/** The command `wipe`. */
export const wipeCommand: CliCommand = {
  name: "wipe",
  usage: "[--db DIR] [--yes]",
  summary: "delete the data in a directory that no server uses",
  options: ["db", "logLevel"],
  configure(command) {
    command.addOption(new Option("-y, --yes"));
    command.configureHelp({ formatHelp: () => helpText });
  },
  async run([operand], options, context, flags) {
    const { db, logLevel } = options;
    const { cwd, stderr } = context;
    if (operand !== undefined)
      throw new UsageError(
        `wipe: unexpected argument ${JSON.stringify(operand)}; usage: pglite-devdb wipe ${wipeCommand.usage}`,
      );
    if (db === "memory://") throw new UsageError("wipe: name the directory: pglite-devdb wipe --db DIR");
    const path = resolve(cwd, db);
    const log = logTo(stderr, logLevel);
    const source = `${path} (${nameOf(options, "db")})`;
    if (flags.yes !== true && !(await confirm(source, context))) {
      log("info", `${path} is unchanged`);
      return ExitCode.failure;
    }
    const had = await emptyDirectory(path);
    log("info", had ? `deleted the data in ${path}; the next start migrates and seeds again` : `${path} has no data`);
    return ExitCode.ok;
  },
};

/** Asks on the terminal. Throws a `UsageError` without a terminal. */
async function confirm(source: string, { stderr }: CommandContext): Promise<boolean> {
  if (!process.stdin.isTTY || !stderr.isTTY)
    throw new UsageError(`wipe: deleting all data in ${source} needs --yes, because there is no terminal to ask on`);
  const terminal = createInterface({ input: process.stdin, output: stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question(`Delete all data in ${source}? [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}

const helpText = `Usage: pglite-devdb wipe [--db DIR] [--yes]

Delete the data in a directory that no server uses. The next start migrates and seeds again.

  --db DIR    the directory [env DEV_DB_PATH, or "db" in package.json]
  -y, --yes   do not ask; required without a terminal
`;
