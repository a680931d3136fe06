/**
 * `npm run fuzz`: everything that a client can do to a server, from a seed, and a check that it still serves.
 *
 * Owns: the order of the program. Everything else is in `fuzz/`: start at `run-fuzz.ts`; what clients say is in
 * `fuzz/talk/`, what is done with it in `fuzz/kinds/`.
 * Invariant: exit 0 without a failure, 1 with one, 2 for a bad option.
 */
import { ExitCode } from "../src/errors.ts";
import { runScript } from "./command-line.ts";
import { type FuzzOptions, fuzzHelp, readFuzzOptions } from "./fuzz/options.ts";
import { formatFailure, formatSummary } from "./fuzz/report.ts";
import { runFuzz } from "./fuzz/run-fuzz.ts";

async function main(options: FuzzOptions): Promise<void> {
  console.error(`seed ${options.seed}`);
  const result = await runFuzz(options, {
    progress: (line) => console.error(line),
    failure: (failure) => console.error(formatFailure(options, failure)),
  });
  console.log(formatSummary(options, result));
  process.exitCode = result.failures.length === 0 ? ExitCode.ok : ExitCode.failure;
}

await runScript({ help: fuzzHelp, read: readFuzzOptions, run: main });
