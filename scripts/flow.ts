/**
 * `npm run flow`: random conversations that vary how much goes both ways at once, and a check that both ends finish.
 *
 * Owns: the order of the program. Everything else is in `flow/`: start at `run-flow.ts`; what can be in a conversation is in
 * `flow/play.ts`.
 * Invariant: exit 0 without a failure, 1 with one, 2 for a bad option.
 */
import { ExitCode } from "../src/errors.ts";
import { runScript } from "./command-line.ts";
import { type FlowOptions, flowHelp, readFlowOptions } from "./flow/options.ts";
import { formatFailure, formatSummary } from "./flow/report.ts";
import { runFlow } from "./flow/run-flow.ts";

async function main(options: FlowOptions): Promise<void> {
  console.error(`seed ${options.seed}`);
  const result = await runFlow(options, (line) => console.error(line));
  if (result.failure) console.error(formatFailure(options, result.failure));
  console.log(formatSummary(result));
  process.exitCode = result.failure ? ExitCode.failure : ExitCode.ok;
}

await runScript({ help: flowHelp, read: readFlowOptions, run: main });
