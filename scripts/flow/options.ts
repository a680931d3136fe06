/**
 * The command line of `npm run flow`.
 *
 * Owns: reading and validating it. Does not own: what the options do.
 * Invariant: a bad value is a `UsageError` that names the option, the value and what it takes; nothing has been started.
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { UsageError } from "../../src/errors.ts";
import { anySeed, parseOptions, whole } from "../command-line.ts";

/** What a run does. */
export interface FlowOptions {
  readonly seed: number;
  readonly plays: number;
  /** How many plays run side by side. */
  readonly lanes: number;
  /** How many of a thousand plays send or get up to several megabytes at a time. */
  readonly largeInThousand: number;
  /** The built library to serve with. */
  readonly program: string;
}

/** The text of `--help`. */
export const flowHelp = `npm run flow -- [options]

  --seed N                      the same seed gives the same plays (default: a new one, printed)
  --plays N                     how many (default 10000)
  --lanes N                     plays side by side, 1 to 30 (default 8)
  --large N                     how many of a thousand plays are large (default 4)
  --program FILE                the built library to serve with instead of dist/index.js
  --help                        this text
`;

const text = { type: "string" } as const;
const known = {
  ...{ seed: text, plays: text, lanes: text, large: text, program: text },
  ...{ help: { type: "boolean" } as const },
};

/** Reads the arguments after the script name; `"help"` when help was asked for. Throws a `UsageError`. */
export function readFlowOptions(argv: readonly string[]): FlowOptions | "help" {
  const values = parseOptions(argv, known, flowHelp);
  if (values.help) return "help";
  return {
    seed: values.seed === undefined ? anySeed() : whole("--seed", values.seed, 0, 2 ** 31 - 1),
    plays: whole("--plays", values.plays ?? "10000", 1, 1e9),
    lanes: whole("--lanes", values.lanes ?? "8", 1, 30),
    largeInThousand: whole("--large", values.large ?? "4", 0, 900),
    program: existing(values.program ?? fileURLToPath(new URL("../../dist/index.js", import.meta.url))),
  };
}

function existing(path: string): string {
  if (!existsSync(path)) throw new UsageError(`--program ${JSON.stringify(path)}: there is no such file`);
  return resolve(path);
}
