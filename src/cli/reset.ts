/**
 * `pglite-devdb reset`: a server that runs is as it was when it became ready; or, with `--db DIR`, the data of a directory is gone, and the next
 * start migrates and seeds anew.
 *
 * Owns: which of the two, and what is said. Does not own: the removal (`dev-db/empty-directory.ts`), how a server is found (`running-server.ts`).
 */
import { resolve } from "node:path";
import { emptyDirectory } from "../dev-db/empty-directory.ts";
import { ExitCode, UsageError } from "../errors.ts";
import type { CliCommand } from "./command.ts";
import { logTo } from "./log.ts";
import { callOwnFunction, serverUrl, urlFlag, urlHelp } from "./running-server.ts";

/** The command `reset`. */
export const resetCommand: CliCommand = {
  name: "reset",
  usage: "[--url URL | --db DIR]",
  summary:
    "bring a server that runs with --resets on back to what it was when it became ready; with --db remove the data of a directory that no server uses",
  options: ["db", "logLevel"],
  configure(command) {
    command.addOption(urlFlag);
    command.configureHelp({ formatHelp: () => helpText });
  },
  async run([operand], { db, logLevel }, { cwd, environment, stderr }, flags) {
    if (operand !== undefined)
      throw new UsageError(`reset: what is ${JSON.stringify(operand)}? pglite-devdb reset ${resetCommand.usage}`);
    if (flags.url !== undefined && flags.db !== undefined)
      throw new UsageError(
        "reset: either --url, for a server that runs, or --db, for the directory of one that does not",
      );
    // What is configured to be in a directory is what is meant, unless a server is named.
    if (flags.url === undefined && db !== "memory://") {
      const path = resolve(cwd, db);
      const log = logTo(stderr, logLevel);
      const had = await emptyDirectory(path);
      log("info", had ? `${path} is empty: its next start migrates and seeds anew` : `${path} has no data`);
    } else await callOwnFunction(serverUrl(flags.url, environment), "reset", "reset");
    return ExitCode.ok;
  },
};

const helpText = `Usage: pglite-devdb reset [--url URL | --db DIR]

  reset [--url URL]   a server that runs is again what it was when it became ready, behind migrations and seed. It has
                      been started with --resets on, or by the library: see docs/resets.md
  reset --db DIR      the data of a directory that no server uses is gone: its next start migrates and seeds anew.
                      Without --url also where a directory is configured by DEV_DB_PATH or package.json
${urlHelp}`;
