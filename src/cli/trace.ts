/**
 * `pglite-devdb trace show|…`: what can be done with traces.
 *
 * Owns: which parts there are, and the help. Does not own: what they do (`trace/`).
 */
import { type Command, Option } from "commander";
import { ExitCode, UsageError } from "../errors.ts";
import type { CliCommand } from "./command.ts";
import { checkSubcommand } from "./trace/check.ts";
import { recordSubcommand } from "./trace/record.ts";
import { replaySubcommand } from "./trace/replay.ts";
import { showSubcommand } from "./trace/show.ts";
import { shrinkSubcommand } from "./trace/shrink.ts";
import { attribute, FlagValues, spelling, type TraceSubcommand } from "./trace/subcommand.ts";

const subcommands: readonly TraceSubcommand[] = [
  recordSubcommand,
  showSubcommand,
  checkSubcommand,
  replaySubcommand,
  shrinkSubcommand,
];
const names = subcommands.map(({ name }) => name);

/** The command `trace`. */
export const traceCommand: CliCommand = {
  name: "trace",
  usage: `${names.join("|")} [options]`,
  summary: "record, show, check, replay or shrink a trace",
  options: [],
  configure(command: Command) {
    const all = new Map(subcommands.flatMap(({ flags }) => flags.map((flag) => [spelling(flag), flag] as const)));
    for (const { flags } of all.values()) command.addOption(new Option(flags));
    command.configureHelp({ formatHelp: () => helpText });
  },
  async run([name, ...operands], _options, context, given) {
    const subcommand = subcommands.find((each) => each.name === name);
    if (!subcommand) throw new UsageError(`trace: say what to do with it: ${names.join(", ")}`);
    const known = new Set(subcommand.flags.map(attribute));
    const [stray] = Object.keys(given).filter((key) => !known.has(key));
    if (stray !== undefined) {
      const flag = subcommands.flatMap(({ flags }) => flags).find((each) => attribute(each) === stray)!;
      throw new UsageError(`trace ${name}: has no option ${spelling(flag)}`);
    }
    return await subcommand.run(operands, new FlagValues(given), context);
  },
};

const helpText = `Usage: pglite-devdb trace ${names.join("|")} [options]

${subcommands.map(helpOf).join("\n")}
  -h, --help

Exit codes
  ${ExitCode.ok} ok    ${ExitCode.failure} there is a finding, or a difference    ${ExitCode.usage} usage
`;

function helpOf({ name, usage, summary, flags }: TraceSubcommand): string {
  const lines = flags.map(
    ({ flags: flag, help }) => `  ${flag.startsWith("--") ? "    " : ""}${flag}\n        ${help}\n`,
  );
  return `trace ${name} ${usage}\n    ${summary}\n${lines.join("")}`;
}
