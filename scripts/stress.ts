/**
 * `npm run stress`: many clients of one server with real sessions, from a seed, with rules that a single lost, doubled or
 * half-done write breaks; and the server killed in the middle of it.
 *
 * Owns: the order of the program. Everything else is in `stress/`: start at `run-stress.ts`.
 * Invariant: exit 0 without a failure, 1 with one, 2 for a bad option.
 */
import { ExitCode, UsageError } from "../src/errors.ts";
import { leaveNothingBehind } from "./bench/leftovers.ts";
import { readStressOptions, stressHelp } from "./stress/options.ts";
import { formatStressReport } from "./stress/report.ts";
import { runStress } from "./stress/run-stress.ts";

try {
  const options = readStressOptions(process.argv.slice(2));
  if (options === "help") process.stdout.write(stressHelp);
  else {
    leaveNothingBehind();
    console.error(`seed ${options.seed}`);
    const result = await runStress(options, {
      progress: (line) => console.error(line),
      failure: (text) => console.error(`FAILED: ${text}`),
    });
    console.log(formatStressReport(options, result));
    process.exitCode = result.counts.failed === 0 ? ExitCode.ok : ExitCode.failure;
  }
} catch (error) {
  console.error(error instanceof UsageError ? error.message : error);
  process.exitCode = error instanceof UsageError ? ExitCode.usage : ExitCode.failure;
}
