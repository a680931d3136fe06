/**
 * `npm run conformance`: PostgreSQL's isolation suite against this server, or another one.
 *
 * Owns: the order of the program. Everything else is in `conformance/`: start at `run-suite.ts`. The specifications are
 * PostgreSQL's and are read from a folder that the caller names; none of them is part of this project.
 * Invariant: standard output gets the report only; progress goes to standard error; exit 2 for a bad option.
 */
import { writeFileSync } from "node:fs";
import { ExitCode, UsageError } from "../src/errors.ts";
import { leaveNothingBehind } from "./bench/leftovers.ts";
import { knownDifferences } from "./conformance/known-differences.ts";
import { type ConformanceOptions, conformanceHelp, readConformanceOptions } from "./conformance/options.ts";
import { differences, isClean, reportAsJson, summary } from "./conformance/report.ts";
import { runSuite } from "./conformance/run-suite.ts";

async function main(options: ConformanceOptions): Promise<void> {
  leaveNothingBehind();
  const run = await runSuite(options, (line) => console.error(line));
  const shown = differences(run.specs, options.show);
  if (shown !== "") console.log(`\n${shown}\n`);
  console.log(summary(run, knownDifferences));
  if (options.report !== undefined) writeFileSync(options.report, reportAsJson(run));
  if (!isClean(run)) process.exitCode = ExitCode.failure;
}

try {
  const options = readConformanceOptions(process.argv.slice(2));
  if (options === "help") process.stdout.write(conformanceHelp);
  else await main(options);
} catch (error) {
  console.error(error instanceof UsageError ? error.message : error);
  process.exitCode = error instanceof UsageError ? ExitCode.usage : ExitCode.failure;
}
