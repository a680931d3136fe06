/**
 * The command line of `npm run fuzz`.
 *
 * Owns: reading and validating it. Does not own: what the options do.
 * Invariant: a bad value is a `UsageError` that names the option, the value and what it takes; nothing has been started.
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { UsageError } from "../../src/errors.ts";
import { anySeed, list, number, oneOf, parseOptions, whole } from "../command-line.ts";
import { type Kind, kinds } from "./kinds.ts";
import type { Target } from "./server-under-test.ts";

/** What a run of the fuzzer does. */
export interface FuzzOptions {
  readonly seed: number;
  /** No case begins after this time; undefined for no limit. */
  readonly minutes: number | undefined;
  /** How many case numbers are gone through; undefined for no limit. */
  readonly cases: number | undefined;
  /** The first case number. */
  readonly from: number;
  /** One play of the first case alone; undefined for all of them. */
  readonly play: number | undefined;
  readonly kinds: readonly Kind[];
  readonly target: Target;
  /** The command line to start as the server; undefined for dist/cli.js. */
  readonly program: string | undefined;
  /** A new client that waits longer than this is a failure, unless that is usual on this machine. */
  readonly lateAfterMs: number;
  /** The run ends after so many failures. */
  readonly maxFailures: number;
}

/** The text of `--help`. */
export const fuzzHelp = `npm run fuzz -- [options]

  --seed N           the same seed gives the same cases (default: a new one, printed)
  --minutes M        how long, 0.01 to 1440 (default 1, or no limit with --cases)
  --cases N          how many cases instead of how long
  --case K[.P]       only case K, or only its play P
  --from K           begin with case K (default 0)
  --only KIND,…      ${kinds.join(", ")}
  --without KIND,…   all but these
  --late-after MS    how long a new client may wait, 1 to 10000 (default 500)
  --failures N       end after N failures (default 10)
  --target T         ours or stock, the unpatched library (default ours)
  --program FILE     the built command line to start instead of dist/cli.js
  --help             this text
`;

const text = { type: "string" } as const;
const known = {
  ...{ seed: text, minutes: text, cases: text, case: text, from: text, only: text, without: text },
  ...{ "late-after": text, failures: text, target: text, program: text, help: { type: "boolean" } as const },
};

/** Reads the arguments after the script name; `"help"` when help was asked for. Throws a `UsageError`. */
export function readFuzzOptions(argv: readonly string[]): FuzzOptions | "help" {
  const values = parseOptions(argv, known, fuzzHelp);
  if (values.help) return "help";
  const [caseNumber, play] = values.case === undefined ? [] : caseAndPlay(values.case);
  const cases = caseNumber !== undefined ? 1 : optional(values.cases, (text) => whole("--cases", text, 1, 1e9));
  const minutes =
    optional(values.minutes, (text) => number("--minutes", text, 0.01, 1440)) ?? (cases === undefined ? 1 : undefined);
  const left = values.without === undefined ? [] : list("--without", values.without, kinds);
  return {
    seed: optional(values.seed, (text) => whole("--seed", text, 0, 2 ** 32 - 1)) ?? anySeed(),
    minutes,
    cases,
    from: caseNumber ?? whole("--from", values.from ?? "0", 0, 1e9),
    play,
    kinds: list("--only", values.only ?? kinds.join(","), kinds).filter((kind) => !left.includes(kind)),
    target: oneOf("--target", values.target ?? "ours", ["ours", "stock"]),
    program: optional(values.program, existingFile),
    lateAfterMs: whole("--late-after", values["late-after"] ?? "500", 1, 10_000),
    maxFailures: whole("--failures", values.failures ?? "10", 1, 1e6),
  };
}

function optional<T>(text: string | undefined, read: (text: string) => T): T | undefined {
  return text === undefined ? undefined : read(text);
}

function caseAndPlay(text: string): [number, number | undefined] {
  const [number = "", play, ...rest] = text.split(".");
  if (rest.length > 0)
    throw new UsageError(`--case ${JSON.stringify(text)}: takes a number, or two with a point between`);
  return [whole("--case", number, 0, 1e9), optional(play, (digits) => whole("--case", digits, 0, 1e6))];
}

function existingFile(text: string): string {
  if (!existsSync(text)) throw new UsageError(`--program ${JSON.stringify(text)}: there is no such file`);
  return resolve(text);
}
