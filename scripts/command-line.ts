/**
 * What the command lines of all scripts have in common.
 *
 * Owns: parsing them, the checks of single values, what help and errors look like, exit codes. Does not own: which options a
 * script has.
 * Invariant: a bad option is a `UsageError` that names the option, the value and what it takes, printed without a stack
 * before anything has been started; exit 2.
 */
import { type ParseArgsConfig, parseArgs } from "node:util";
import { ExitCode, UsageError } from "../src/errors.ts";
import { leaveNothingBehind } from "./bench/leftovers.ts";

type OptionsConfig = NonNullable<ParseArgsConfig["options"]>;

/** A script: its `--help`, its options, its work. */
interface Script<Options> {
  readonly help: string;
  /** Reads the arguments; `"help"` when help was asked for. Throws a `UsageError`. */
  read(argv: readonly string[]): Options | "help";
  run(options: Options): Promise<void>;
}

/** Runs the script with this process's arguments; what it has started ends with it. */
export async function runScript<Options>({ help, read, run }: Script<Options>): Promise<void> {
  try {
    const options = read(process.argv.slice(2));
    if (options === "help") {
      process.stdout.write(help);
      return;
    }
    leaveNothingBehind();
    await run(options);
  } catch (error) {
    console.error(error instanceof UsageError ? error.message : error);
    process.exitCode = error instanceof UsageError ? ExitCode.usage : ExitCode.failure;
  }
}

/** The values of the options, unchecked. Throws a `UsageError` with the help for what is none of them. */
export function parseOptions<Config extends OptionsConfig>(argv: readonly string[], options: Config, help: string) {
  try {
    return parseArgs({ args: [...argv], options }).values;
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n\n${help}`);
  }
}

/** A new seed, for a run that names none. */
export function anySeed(): number {
  return Math.floor(Math.random() * 2 ** 31);
}

/** A whole number from `least` to `most`. */
export function whole(option: string, text: string, least: number, most: number): number {
  if (!/^\d+$/.test(text) || Number(text) < least || Number(text) > most) {
    throw new UsageError(`${option} ${JSON.stringify(text)}: takes a whole number from ${least} to ${most}`);
  }
  return Number(text);
}

/** A number from `least` to `most`. */
export function number(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= least && value <= most)) {
    throw new UsageError(`${option} ${JSON.stringify(text)}: takes a number from ${least} to ${most}`);
  }
  return value;
}

/** One of some words. */
export function oneOf<Word extends string>(option: string, text: string, words: readonly Word[]): Word {
  const found = words.find((word) => word === text);
  if (found === undefined) throw new UsageError(`${option} ${JSON.stringify(text)}: takes ${words.join(" or ")}`);
  return found;
}

/** Names with commas between, in the order of `known`. */
export function list<Name extends string>(option: string, text: string, known: readonly Name[]): Name[] {
  const wanted = text.split(",").map((name) => name.trim());
  const strange = wanted.find((name) => !(known as readonly string[]).includes(name));
  if (strange !== undefined) {
    throw new UsageError(
      `${option} ${JSON.stringify(text)}: ${JSON.stringify(strange)} is none of ${known.join(", ")}`,
    );
  }
  return known.filter((name) => wanted.includes(name));
}
