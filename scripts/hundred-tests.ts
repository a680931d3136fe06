/**
 * `npm run hundred-tests -- [options]`: a hundred tests in vitest with four workers, each with a database of its own, here, with
 * prisma-pglite-bridge, and on a real PostgreSQL with a template, in the same run in turn.
 *
 * Owns: the order of the runs, the table. Does not own: the tests (`hundred-tests/suites.ts`), a run (`hundred-tests/project.ts`).
 * Invariant: who cannot be had is said, and is not in the table; what a figure depends on is printed with it.
 */

import { serveRegistry } from "../test/package/support/registry.ts";
import { startRealPostgres } from "../test/support/real-postgres.ts";
import { makeDirectory } from "./bench/leftovers.ts";
import { surroundings } from "./bench/machine.ts";
import { build } from "./build.ts";
import { list, parseOptions, runScript, whole } from "./command-line.ts";
import { install, makeProject, type RunTimes } from "./hundred-tests/project.ts";
import { type SuiteName, setUpLines, suites } from "./hundred-tests/suites.ts";
import { describeRun, table, writeMeasured } from "./measured.ts";

/** What is compared with; peers and versions as of the figures in docs/performance.md. */
const versions = {
  vitest: "4.1.12",
  pg: "8.23.1",
  "prisma-pglite-bridge": "1.9.0",
  "@prisma/adapter-pg": "7.10.0",
  "@electric-sql/pglite": "0.5.14",
} as const;

const names = Object.keys(suites) as SuiteName[];

const help = `npm run hundred-tests -- [options]

  --rounds N     runs of each, in turn, 1 to 100 (default 3)
  --suites LIST  of ${names.join(", ")} (default: all)
  --write        write the figures into docs/performance.md, too
  --help         this text
`;

interface HundredTestsOptions {
  readonly rounds: number;
  readonly wanted: readonly SuiteName[];
  readonly write: boolean;
}

await runScript({ help, read, run });

function read(argv: readonly string[]): HundredTestsOptions | "help" {
  const [text, flag] = [{ type: "string" }, { type: "boolean" }] as const;
  const known = { rounds: text, suites: text, write: flag, help: flag } as const;
  const { rounds = "3", suites: given = names.join(), write = false, help: isHelp } = parseOptions(argv, known, help);
  if (isHelp) return "help";
  return { rounds: whole("--rounds", rounds, 1, 100), wanted: list("--suites", given, names), write };
}

async function run({ rounds, wanted, write }: HundredTestsOptions): Promise<void> {
  const around = surroundings();
  await build();
  const { modules, missing } = await installFor(wanted);
  const real = wanted.includes("template")
    ? await startRealPostgres().catch((error: Error) => void missing.set("template", error.message))
    : undefined;
  const there = wanted.filter((name) => !missing.has(name));
  const projects = new Map(there.map((name) => [name, makeProject(suites[name], modules)]));
  const times = new Map<SuiteName, RunTimes[]>(there.map((name) => [name, []]));
  const environment = real ? { ADMIN_URL: `postgresql://postgres@${real.host}:${real.port}/postgres` } : {};
  // The user's cache is filled by a first start on a machine.
  await projects.get("ours")?.run(environment);
  for (let round = 1; round <= rounds; round++) {
    for (const [name, project] of projects) {
      const taken = await project.run(environment);
      times.get(name)!.push(taken);
      console.error(`round ${round}: ${name} ${(taken.runMs / 1000).toFixed(1)} s`);
    }
  }
  await real?.stop();
  const text = [
    `A hundred tests in four files, vitest ${versions.vitest} with four workers. Each test finds the 20 tables and the one row of the seed in a database that is its own, adds a row and`,
    `counts. \`npm run hundred-tests\` ${describeRun(around)} (use the ratios); ${rounds === 1 ? "one run each" : `medians of ${rounds} runs each in turn`}, after a first one of this package, which fills its cache. A line of set-up is one that is`,
    `no import; the real PostgreSQL (18, fsync off) runs already, the others are started by the run. prisma-pglite-bridge ${versions["prisma-pglite-bridge"]} has no connections: PGlite runs in the process of the test.`,
    "",
    table(
      ["", "lines of set-up", "the whole run", "a test, median", "the slowest test"],
      there.map((name) => rowOf(name, times.get(name)!)),
    ),
    ...(wanted.length < names.length ? [`\nNot in this run: ${without(wanted)}.`] : []),
    ...[...missing].map(([name, why]) => `\n${suites[name].name} could not be had: ${why.split("\n")[0]}`),
  ].join("\n");
  console.log(text);
  if (write) writeMeasured("hundred-tests", text);
}

function without(wanted: readonly SuiteName[]): string {
  return names.flatMap((name) => (wanted.includes(name) ? [] : [suites[name].name])).join("; ");
}

function rowOf(name: SuiteName, runs: readonly RunTimes[]): string[] {
  const tests = runs.flatMap(({ testsMs }) => testsMs);
  return [
    suites[name].name,
    `${setUpLines(suites[name])}`,
    `${(median(runs.map(({ runMs }) => runMs)) / 1000).toFixed(1)} s`,
    `${median(tests).toFixed(median(tests) < 10 ? 1 : 0)} ms`,
    `${Math.round(median(runs.map(({ testsMs }) => Math.max(...testsMs))))} ms`,
  ];
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

/** One installation with all that the suites want; without a package that cannot be had, whose suites are missing then. */
async function installFor(wanted: readonly SuiteName[]): Promise<{ modules: string; missing: Map<SuiteName, string> }> {
  const packed = await serveRegistry(makeDirectory());
  packed.close();
  const missing = new Map<SuiteName, string>();
  const versioned = (name: string) =>
    name === "pglite-devdb" ? packed.tarball : `${name}@${versions[name as keyof typeof versions]}`;
  const packagesOf = (suitesToo: readonly SuiteName[]) => [
    ...new Set(["vitest", "pg", ...suitesToo.flatMap((name) => suites[name].packages)]),
  ];
  try {
    return { modules: await install(packagesOf(wanted).map(versioned)), missing };
  } catch (error) {
    const others = wanted.filter((name) => !name.startsWith("bridge"));
    if (others.length === wanted.length) throw error;
    for (const name of wanted) if (name.startsWith("bridge")) missing.set(name, (error as Error).message);
    return { modules: await install(packagesOf(others).map(versioned)), missing };
  }
}
