/**
 * `pglite-devdb reset`: undoes what was done on a running server since it became ready.
 *
 * Owns: its words. Does not own: how a server is found (`running-server.ts`), a directory without a server (`wipe.ts`).
 */
import { Option } from "commander";
import { ExitCode, UsageError } from "../errors.ts";
import type { CliCommand } from "./command.ts";
import { callOwnFunction, serverUrl, urlFlag, urlHelp } from "./running-server.ts";

/** The command `reset`. */
export const resetCommand: CliCommand = {
  name: "reset",
  usage: "[--url URL]",
  summary: "undo all changes on a running server since it became ready",
  options: [],
  configure(command) {
    command.addOption(urlFlag).addOption(new Option("--db <dir>").hideHelp());
    command.configureHelp({ formatHelp: () => helpText });
  },
  async run([operand], _options, { environment }, flags) {
    if (operand !== undefined)
      throw new UsageError(
        `reset: unexpected argument ${JSON.stringify(operand)}; usage: pglite-devdb reset ${resetCommand.usage}`,
      );
    if (flags.db !== undefined)
      throw new UsageError(
        `reset: --db is not an option of reset; to delete a directory's data: pglite-devdb wipe --db ${String(flags.db)}`,
      );
    await callOwnFunction(serverUrl(flags.url, environment), "reset", "reset");
    return ExitCode.ok;
  },
};

const helpText = `Usage: pglite-devdb reset [--url URL]

Undo all changes on a running server since it became ready. Start the server with --resets on, or with
startDevDb: see docs/resets.md. To delete the data in a directory: pglite-devdb wipe.
${urlHelp}`;
