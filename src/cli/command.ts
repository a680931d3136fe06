/**
 * What a command of the command line is, and the options that commands share.
 *
 * Owns: the shape of a command, and the way from commander's values to validated options. Does not own: what a command
 * does (one file per command) or the options themselves (`options.ts`).
 * Invariant: every flag comes from the option table.
 */
import { type Command, Option } from "commander";
import { readPackageJsonOptions } from "../options/package-json.ts";
import { flagName } from "../options/spec.ts";
import { type OptionKey, optionKeys, optionTable, type ResolvedOptions, resolveOptions } from "../options.ts";

/** What a command may use of the process. */
export interface CommandContext {
  cwd: string;
  environment: NodeJS.ProcessEnv;
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
}

/** A command; it is registered in `main.ts`. */
export interface CliCommand {
  readonly name: string;
  /** The arguments as they stand in the usage line, for example `-- <command> [args...]`. */
  readonly usage: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** The options of the table that it takes. */
  readonly options: readonly OptionKey[];
  /** Adds arguments and settings to commander's object; optional. */
  configure?(command: Command): void;
  /** Runs it and resolves with the exit code. `flags` has all flags as text, also those that are in no table. */
  run(
    operands: readonly string[],
    options: ResolvedOptions,
    context: CommandContext,
    flags: Readonly<Record<string, unknown>>,
  ): Promise<number>;
}

/** The options of the table that fit a command: those of `start` or `run` only if it is that. */
export function serverOptions(command: "start" | "run" | "other"): readonly OptionKey[] {
  return optionKeys.filter((key) => {
    const { scope } = optionTable[key];
    return scope === undefined || scope === "command line" || scope === command;
  });
}

/** Declares options of the table on a commander command. Values stay text; `readOptions` validates them. */
export function declareOptions(command: Command, keys: readonly OptionKey[]): void {
  for (const key of keys) {
    const option = new Option(optionTable[key].flags, optionTable[key].help);
    if (optionTable[key].repeatable) option.argParser((value: string, all: string[] = []) => [...all, value]);
    command.addOption(option);
  }
}

/** Merges the flags with environment and package.json. Throws a `UsageError`. */
export function readOptions(command: Command, keys: readonly OptionKey[], context: CommandContext): ResolvedOptions {
  const flags = Object.fromEntries(
    keys.map((key) => {
      const name = attributeName(flagName(optionTable[key]));
      // What begins with --no- is true where it is not given.
      const value = command.getOptionValueSource(name) === "default" ? undefined : command.getOptionValue(name);
      // A flag without a value.
      return [key, typeof value === "boolean" ? String(value) : value];
    }),
  );
  return resolveOptions({
    flags,
    environment: context.environment,
    packageJson: readPackageJsonOptions(context.cwd),
  });
}

function attributeName(flag: string): string {
  return new Option(flag).attributeName();
}
