/**
 * `npm run bench`: this server, the stock library, PGlite without a socket, a server without an engine, and a real
 * PostgreSQL where one is installed, in turn, in one run.
 *
 * Owns: the order of the program. Everything else is in `bench/`: start at `run-benchmark.ts`.
 * Invariant: standard output gets the report only; progress goes to standard error; exit 2 for a bad option.
 */
import { existsSync, writeFileSync } from "node:fs";
import { surroundings } from "./bench/machine.ts";
import { type BenchOptions, benchHelp, readBenchOptions } from "./bench/options.ts";
import { formatReport, reportAsJson } from "./bench/report.ts";
import { runBenchmark } from "./bench/run-benchmark.ts";
import { runScript } from "./command-line.ts";

async function main(options: BenchOptions): Promise<void> {
  const where = surroundings();
  const result = await runBenchmark(options, (line) => console.error(line));
  console.log(`\n${formatReport(options, where, result)}`);
  if (options.jsonFile !== undefined) writeFileSync(options.jsonFile, reportAsJson(options, where, result));
  if (options.profile !== undefined) {
    const file = `bench-${options.profile}.cpuprofile`;
    console.error(existsSync(file) ? `CPU profile: ${file}` : `${options.profile} ended without writing ${file}`);
  }
}

await runScript({ help: benchHelp, read: readBenchOptions, run: main });
