/**
 * `npm run conformance`: PostgreSQL's isolation suite against this server, or another one.
 *
 * Owns: the order of the program. Everything else is in `conformance/`: start at `run-suite.ts`. The specifications are
 * PostgreSQL's and are read from a folder that the caller names; none of them is part of this project.
 * Invariant: standard output gets the report only; progress goes to standard error; exit 2 for a bad option.
 */
import { writeFileSync } from "node:fs";
import { ExitCode } from "../src/errors.ts";
import { runScript } from "./command-line.ts";
import { knownDifferences } from "./conformance/known-differences.ts";
import { type ConformanceOptions, conformanceHelp, readConformanceOptions } from "./conformance/options.ts";
import { differences, isClean, reportAsJson, summary } from "./conformance/report.ts";
import { runSuite } from "./conformance/run-suite.ts";

async function main(options: ConformanceOptions): Promise<void> {
  const run = await runSuite(options, (line) => console.error(line));
  const shown = differences(run.specs, options.show);
  if (shown !== "") console.log(`\n${shown}\n`);
  console.log(summary(run, knownDifferences(run.server)));
  if (options.report !== undefined) writeFileSync(options.report, reportAsJson(run));
  if (!isClean(run)) process.exitCode = ExitCode.failure;
}

await runScript({ help: conformanceHelp, read: readConformanceOptions, run: main });
