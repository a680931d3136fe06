/**
 * The text of `--help`.
 *
 * Owns: its layout. Does not own: the words about an option (`options.ts`) or a command (its file).
 * Invariant: every option shows its environment name and its default.
 */
import { ExitCode } from "../errors.ts";
import { type OptionSpec, optionGroups } from "../options/spec.ts";
import { type OptionKey, optionTable } from "../options.ts";
import type { CliCommand } from "./command.ts";

const lineWidth = 100;
const indent = 4;

/** Help of the program: all commands, and the options of the default one. */
export function programHelp(commands: readonly CliCommand[]): string {
  const nameWidth = Math.max(...commands.map((command) => command.name.length + command.usage.length)) + 3;
  const list = commands.flatMap((command) => {
    const [first = "", ...rest] = wrap(command.summary, nameWidth + 2);
    return [`  ${command.name} ${command.usage}`.padEnd(nameWidth + 2) + first.trimStart(), ...rest];
  });
  return join([
    "pglite-devdb: a local PostgreSQL server in one npm package",
    "",
    "Usage: pglite-devdb [command] [options]",
    "",
    "Commands",
    ...list,
    "",
    ...optionSections(commands[0]?.options ?? []),
    ...footer,
  ]);
}

/** Help of one command. */
export function commandHelp(command: CliCommand): string {
  return join([
    `Usage: pglite-devdb ${command.name} ${command.usage}`,
    "",
    ...wrap(capitalize(command.summary), 0),
    "",
    ...optionSections(command.options),
    ...footer,
  ]);
}

const footer: readonly string[] = [
  "Other",
  "  -h, --help",
  "  -V, --version",
  "",
  "A flag wins over its environment variable, that over package.json, that over the default.",
  'package.json:  "pglite-devdb": { "port": 5433, "idleTimeoutMs": 60000, "extensions": ["pg_trgm"] }',
  "",
  "Exit codes",
  `  ${ExitCode.ok} ok    ${ExitCode.failure} runtime failure    ${ExitCode.usage} usage    ${ExitCode.migration} migration, setup or seed failed`,
  `  ${ExitCode.portTaken} port taken    ${ExitCode.dataDirectory} data directory cannot be used    128+n signal n    run: that of the command`,
  "",
  "Examples",
  "  pglite-devdb --db ./data --migrations ./drizzle",
  "  pglite-devdb run --port 0 -- npm test",
];

function optionSections(keys: readonly OptionKey[]): string[] {
  return optionGroups.flatMap((group) => {
    const inGroup = keys.filter((key) => optionTable[key].group === group);
    return inGroup.length === 0 ? [] : [group, ...inGroup.flatMap((key) => optionLines(optionTable[key])), ""];
  });
}

function optionLines(spec: OptionSpec<unknown>): string[] {
  const short = spec.flags.startsWith("--") ? `    ${spec.flags}` : spec.flags;
  const shown = spec.defaultNote ?? showDefault(spec.default);
  const notes = [spec.environment, `default ${shown}`].filter((note) => note !== undefined);
  return [`  ${short}`, ...wrap(`${capitalize(spec.help)}. [${notes.join(", ")}]`, indent + 4)];
}

function showDefault(value: unknown): string {
  return value === undefined || (Array.isArray(value) && value.length === 0) ? "none" : String(value);
}

function capitalize(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function wrap(text: string, by: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && by + line.length + 1 + word.length > lineWidth) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line].map((each) => " ".repeat(by) + each);
}

function join(lines: readonly string[]): string {
  return `${lines.join("\n")}\n`;
}
