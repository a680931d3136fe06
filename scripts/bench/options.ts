/**
 * The command line of `npm run bench`.
 *
 * Owns: reading and validating it. Does not own: what the options do.
 * Invariant: a bad value is a `UsageError` that names the option, the value and what it takes; nothing has been started.
 */
import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { UsageError } from "../../src/errors.ts";
import { list, number, parseOptions, whole } from "../command-line.ts";
import { busyLoops } from "./busy-loops.ts";
import { type RowName, rows, type TargetName, targetNames, usualTargets } from "./catalogue.ts";

/** What a run of the benchmark does. */
export interface BenchOptions {
  /** Length of one measured cell. */
  readonly seconds: number;
  readonly rounds: number;
  /** Every row also beside processes that compute all the time. */
  readonly busy: boolean;
  readonly rows: readonly RowName[];
  readonly targets: readonly TargetName[];
  /** Where the figures go as JSON, beside the table. */
  readonly jsonFile: string | undefined;
  /** The target whose server process writes a CPU profile. */
  readonly profile: TargetName | undefined;
}

/** The text of `--help`. */
export const benchHelp = `npm run bench -- [options]

  --seconds N      length of one cell, 0.1 to 600 (default 1)
  --rounds N       rounds per row, 1 to 100; the median counts (default 5)
  --busy           each row a second time, beside ${busyLoops} processes that compute all the time
  --only ROW,…     ${rows.map((row) => row.name).join(", ")}
  --targets T,…    ${targetNames.join(", ")}
  --trace          only ours, without and with --trace: what recording costs
  --json FILE      also write every figure of every round to FILE
  --profile T      start the server process of target T with --cpu-prof and keep bench-T.cpuprofile
  --help           this text
`;

const text = { type: "string" } as const;
const flag = { type: "boolean" } as const;
const known = {
  ...{ seconds: text, rounds: text, only: text, targets: text, json: text, profile: text },
  ...{ help: flag, busy: flag, trace: flag },
};

/** Reads the arguments after the script name; `"help"` when help was asked for. Throws a `UsageError`. */
export function readBenchOptions(argv: readonly string[]): BenchOptions | "help" {
  const values = parseOptions(argv, known, benchHelp);
  if (values.help) return "help";
  const rowNames = rows.map((row) => row.name);
  const profile = values.profile === undefined ? undefined : list("--profile", values.profile, targetNames);
  if (values.trace && values.targets !== undefined) {
    throw new UsageError("--trace: is for the targets ours and traced; leave out --targets, or name them there");
  }
  const usual: readonly TargetName[] = values.trace ? ["ours", "traced"] : usualTargets;
  const targets = list("--targets", values.targets ?? usual.join(","), targetNames);
  if (profile !== undefined && (profile.length !== 1 || !targets.includes(profile[0]!))) {
    throw new UsageError(`--profile ${values.profile}: takes one of the targets that are run (${targets.join(", ")})`);
  }
  if (profile?.[0] === "postgres" || profile?.[0] === "in-process") {
    throw new UsageError(
      `--profile ${profile[0]}: takes a target that is a Node server: ours, traced, stock, constants`,
    );
  }
  return {
    seconds: number("--seconds", values.seconds ?? "1", 0.1, 600),
    rounds: whole("--rounds", values.rounds ?? "5", 1, 100),
    busy: values.busy ?? false,
    rows: list("--only", values.only ?? rowNames.join(","), rowNames),
    targets,
    jsonFile: values.json === undefined ? undefined : writableFile(values.json),
    profile: profile?.[0],
  };
}

function writableFile(file: string): string {
  const path = resolve(file);
  if (file === "" || !existsSync(dirname(path))) {
    throw new UsageError(`--json ${JSON.stringify(file)}: takes a file in a directory that exists`);
  }
  return path;
}
