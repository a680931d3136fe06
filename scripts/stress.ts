/**
 * `npm run stress`: many clients of one server with real sessions, from a seed, with rules that a single lost, doubled or
 * half-done write breaks; and the server killed in the middle of it.
 *
 * Owns: the order of the program. Everything else is in `stress/`: start at `run-stress.ts`.
 * Invariant: exit 0 without a failure, 1 with one, 2 for a bad option.
 */
import { ExitCode } from "../src/errors.ts";
import { runScript } from "./command-line.ts";
import { readStressOptions, type StressOptions, stressHelp } from "./stress/options.ts";
import { formatStressReport } from "./stress/report.ts";
import { runStress } from "./stress/run-stress.ts";

async function main(options: StressOptions): Promise<void> {
  console.error(`seed ${options.seed}`);
  const result = await runStress(options, {
    progress: (line) => console.error(line),
    failure: (text) => console.error(`FAILED: ${text}`),
  });
  console.log(formatStressReport(options, result));
  process.exitCode = result.counts.failed === 0 ? ExitCode.ok : ExitCode.failure;
}

await runScript({ help: stressHelp, read: readStressOptions, run: main });
