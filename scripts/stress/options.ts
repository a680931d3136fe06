/**
 * The command line of `npm run stress`.
 *
 * Owns: reading and validating it. Does not own: what the options do.
 * Invariant: a bad value is a `UsageError` that names the option, the value and what it takes; nothing has been started.
 */
import { anySeed, number, parseOptions, whole } from "../command-line.ts";

/** What a run does. */
export interface StressOptions {
  readonly seed: number;
  /** How long there is load; checks and starts come on top. */
  readonly minutes: number;
  readonly clients: number;
}

/** The text of `--help`. */
export const stressHelp = `npm run stress -- [options]

  --seed N       the same seed gives every client the same choices (default: a new one, printed)
  --minutes M    how long there is load, 0.05 to 1440 (default 2)
  --clients N    how many clients, 1 to 60 (default 10)
  --help         this text
`;

/** Reads the arguments after the script name; `"help"` when help was asked for. Throws a `UsageError`. */
export function readStressOptions(argv: readonly string[]): StressOptions | "help" {
  const text = { type: "string" } as const;
  const known = { seed: text, minutes: text, clients: text, help: { type: "boolean" } } as const;
  const values = parseOptions(argv, known, stressHelp);
  if (values.help) return "help";
  return {
    seed: values.seed === undefined ? anySeed() : whole("--seed", values.seed, 0, 2 ** 32 - 1),
    minutes: number("--minutes", values.minutes ?? "2", 0.05, 1440),
    clients: whole("--clients", values.clients ?? "10", 1, 60),
  };
}
