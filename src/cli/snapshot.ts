/**
 * `pglite-devdb snapshot`: keeps states of a server that runs, shows them, and goes back to them.
 *
 * Owns: its words. Does not own: how a server is found (`running-server.ts`), what a snapshot is (`../thread/server-states.ts`).
 * Invariant: stdout gets names and nothing else.
 */
import { ExitCode, UsageError } from "../errors.ts";
import { escapeForTerminal } from "../system/terminal-text.ts";
import type { CliCommand } from "./command.ts";
import { callOwnFunction, serverUrl, urlFlag, urlHelp } from "./running-server.ts";

/** The command `snapshot`. */
export const snapshotCommand: CliCommand = {
  name: "snapshot",
  usage: "save NAME | restore NAME | rm NAME | ls",
  summary: "save or restore a running server's state",
  options: [],
  configure(command) {
    command.addOption(urlFlag);
    command.configureHelp({ formatHelp: () => helpText });
  },
  async run([word, name, extra], _options, { environment, stdout }, flags) {
    const call = word !== undefined && Object.hasOwn(calls, word) ? calls[word as keyof typeof calls] : undefined;
    if (!call) {
      const what = word === undefined ? "say what is to be done" : `what is ${JSON.stringify(word)}?`;
      throw new UsageError(`snapshot: ${what} pglite-devdb snapshot ${snapshotCommand.usage}`);
    }
    const surplus = call === "snapshots" ? name : extra;
    if (surplus !== undefined) throw new UsageError(`snapshot: ${JSON.stringify(surplus)} is an argument too many`);
    if (call !== "snapshots" && !name)
      throw new UsageError(`snapshot ${word}: name it: pglite-devdb snapshot ${word} NAME`);
    const url = serverUrl(flags.url, environment);
    const answer = await callOwnFunction(url, "snapshot", call, call === "snapshots" ? undefined : name);
    if (answer !== "") stdout.write(`${escapeForTerminal(answer)}\n`);
    return ExitCode.ok;
  },
};

/** The functions of the server. */
const calls = { save: "snapshot", restore: "restore", rm: "drop_snapshot", ls: "snapshots" } as const;

const helpText = `Usage: pglite-devdb snapshot [--url URL] save NAME | restore NAME | rm NAME | ls

A snapshot is the state of a server at one moment. Restoring it takes milliseconds: see docs/resets.md.

  snapshot save NAME      save the present state; replaces an earlier snapshot of that name
  snapshot restore NAME   restore it; clients idle outside transactions stay connected, others are ended
  snapshot rm NAME        drop it
  snapshot ls             print the names of all snapshots
${urlHelp}`;
