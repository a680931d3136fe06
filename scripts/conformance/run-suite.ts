/**
 * All chosen specifications, one after the other, on one server.
 *
 * Owns: finding them, choosing permutations, the order of the run. Does not own: one specification (`run-spec.ts`).
 * Invariant: a specification that cannot be read is a finding of its own and does not end the run; a server that is gone
 * for good ends it, with a report of what was run.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "../../src/errors.ts";
import { Random } from "../../test/support/random.ts";
import { readExpectedOutputs } from "./expected-output.ts";
import { judge, type Verdict } from "./judge.ts";
import { type KnownDifference, knownDifferences } from "./known-differences.ts";
import { type ConformanceOptions, isChosen } from "./options.ts";
import { parseSpec } from "./parse-spec.ts";
import { type RunReport, type SpecReport, specLine } from "./report.ts";
import { runSpec } from "./run-spec.ts";
import { ServerUnderTest } from "./server.ts";
import type { Spec } from "./spec.ts";

const noServer = "the server does not answer any more: the run ends here";

/** Runs what the options say; `log` gets a line per specification. The server has ended when it settles. */
export async function runSuite(options: ConformanceOptions, log: (line: string) => void): Promise<RunReport> {
  const names = chosenNames(options);
  const server = new ServerUnderTest(options.target, log);
  const started = performance.now();
  const specs: SpecReport[] = [];
  try {
    const version = await server.start();
    log(version);
    const known = knownDifferences(version);
    for (const name of names) {
      const report = await runOne(options, name, server, known);
      specs.push(report);
      log(specLine(report));
      if (report.problem === noServer) break;
    }
    const seconds = (performance.now() - started) / 1000;
    return { server: version, seed: options.seed, specs, breakdowns: server.breakdowns, seconds };
  } finally {
    await server.stop();
  }
}

async function runOne(
  options: ConformanceOptions,
  name: string,
  server: ServerUnderTest,
  known: readonly KnownDifference[],
): Promise<SpecReport> {
  const { directory, limitMs } = options;
  let spec: Spec;
  try {
    spec = parseSpec(readFileSync(join(directory, "specs", `${name}.spec`), "utf8"));
  } catch (error) {
    return { name, problem: (error as Error).message, verdicts: [] };
  }
  const expected = readExpectedOutputs(directory, name);
  const verdicts: Verdict[] = [];
  try {
    await runSpec(server, name, spec, choosePermutations(options, spec), limitMs, (index, run) => {
      verdicts.push(judge(name, index, run, expected, known));
    });
  } catch {
    return { name, problem: noServer, verdicts };
  }
  return { name, problem: headProblem(spec, expected), verdicts };
}

/** What the tester prints before the first permutation depends on the specification only. */
function headProblem(spec: Spec, expected: readonly { readonly head: string }[]): string | undefined {
  if (expected.length === 0) return "no expected output";
  const unused = spec.unusedSteps.map((step) => `unused step name: ${step}\n`).join("");
  const head = `${unused}Parsed test spec with ${spec.sessions.length} sessions\n`;
  return expected.some((output) => output.head === head) ? undefined : "not the specification of this expected output";
}

function choosePermutations({ sample, seed }: ConformanceOptions, { permutations }: Spec): number[] {
  const indexes = permutations.map((_, index) => index);
  if (sample === undefined || sample >= indexes.length) return indexes;
  const random = new Random(seed);
  const chosen = new Set<number>();
  while (chosen.size < sample) chosen.add(random.below(indexes.length));
  return [...chosen].sort((a, b) => a - b);
}

function chosenNames({ directory, only }: ConformanceOptions): string[] {
  const folder = join(directory, "specs");
  const all = existsSync(folder) ? readdirSync(folder).filter((file) => file.endsWith(".spec")) : [];
  const names = all.map((file) => file.slice(0, -".spec".length)).sort();
  const chosen = names.filter((name) => isChosen(name, only));
  if (chosen.length === 0) throw new UsageError(`--only ${only.join(",")}: takes names of ${folder}`);
  return chosen;
}
