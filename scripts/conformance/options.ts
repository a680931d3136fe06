/**
 * The command line of `npm run conformance`.
 *
 * Owns: reading and validating it. Does not own: what the options do.
 * Invariant: a bad value is a `UsageError` that names the option, the value and what it takes; nothing has been started.
 */
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { UsageError } from "../../src/errors.ts";
import { anySeed, parseOptions, whole } from "../command-line.ts";
import { type Address, readAddress, type TargetName, targetNames } from "./launch.ts";

/** What a run does. */
export interface ConformanceOptions {
  /** The folder with `specs` and `expected`. */
  readonly directory: string;
  readonly target: TargetName | Address;
  /** Names of specifications, or their beginnings followed by `*`; all if it is empty. */
  readonly only: readonly string[];
  /** How many permutations of each specification at most; the seed chooses them. */
  readonly sample: number | undefined;
  readonly seed: number;
  readonly limitMs: number;
  readonly report: string | undefined;
  /** How many changed permutations are shown, and how many lines of each. */
  readonly show: number;
}

/** The text of `--help`. */
export const conformanceHelp = `npm run conformance -- --specs DIR [options]

Runs PostgreSQL's isolation suite (src/test/isolation of its source) and compares with its expected output.

  --specs DIR      a folder with specs/*.spec and expected/*.out
  --target T       ${targetNames.join(", ")}: starts that server (default ours)
  --url URL        uses this server instead; it is not restarted
  --only NAME,…    these specifications; a name may end in *
  --sample N       N permutations of each specification, chosen by the seed
  --seed N         default: a new one, printed
  --limit S        seconds that a permutation may take, 1 to 600 (default 30)
  --show N         show the differences of the first N failed permutations (default 20)
  --report FILE    write everything as JSON
  --help           this text

Exit code 0: every permutation passed or is a known difference, and the server neither died nor had to be
replaced. 1: otherwise.
`;

const string = { type: "string" } as const;
const known = {
  ...{ specs: string, target: string, url: string, only: string, sample: string, seed: string },
  ...{ limit: string, show: string, report: string, help: { type: "boolean" } as const },
};

/** Reads the arguments after the script name; `"help"` when help was asked for. Throws a `UsageError`. */
export function readConformanceOptions(argv: readonly string[]): ConformanceOptions | "help" {
  const values = parseOptions(argv, known, conformanceHelp);
  if (values.help) return "help";
  if (values.url !== undefined && values.target !== undefined)
    throw new UsageError("--url and --target exclude each other");
  return {
    directory: specsDirectory(values.specs),
    target: values.url === undefined ? targetName(values.target ?? "ours") : address(values.url),
    only: values.only?.split(",") ?? [],
    sample: values.sample === undefined ? undefined : whole("--sample", values.sample, 1, 100_000),
    seed: values.seed === undefined ? anySeed() : whole("--seed", values.seed, 0, 2 ** 32),
    limitMs: whole("--limit", values.limit ?? "30", 1, 600) * 1000,
    show: whole("--show", values.show ?? "20", 0, 100_000),
    report: values.report === undefined ? undefined : writableFile(values.report),
  };
}

/** Whether a specification was chosen. */
export function isChosen(name: string, only: readonly string[]): boolean {
  return (
    only.length === 0 || only.some((one) => (one.endsWith("*") ? name.startsWith(one.slice(0, -1)) : name === one))
  );
}

function specsDirectory(given: string | undefined): string {
  if (given === undefined) throw new UsageError(`--specs is needed\n\n${conformanceHelp}`);
  if (!existsSync(join(given, "specs")))
    throw new UsageError(`--specs ${given}: takes a folder that has a folder specs`);
  return resolve(given);
}

function targetName(given: string): TargetName {
  const found = targetNames.find((name) => name === given);
  if (!found) throw new UsageError(`--target ${given}: takes one of ${targetNames.join(", ")}`);
  return found;
}

function address(url: string): Address {
  try {
    return readAddress(url);
  } catch {
    throw new UsageError(`--url ${url}: takes postgres://user@host:port/database`);
  }
}

function writableFile(file: string): string {
  if (existsSync(dirname(resolve(file)))) return resolve(file);
  throw new UsageError(`--report ${file}: takes a file in a folder that exists`);
}
