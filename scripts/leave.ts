/**
 * `npm run test:leave -- [options]`: suites that end their pool and close their database, in every test runner, with every
 * driver, on several Nodes.
 *
 * Owns: which of them are run, jest and the Nodes that they need, the figures. Does not own: a single run
 * (`test/clients/support/leave-rounds.ts`).
 * Invariant: what it installs is in a temporary directory that goes with it; exit 1 if any round was disturbed or missing.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ExitCode } from "../src/errors.ts";
import { drivers, type Outcome, type Rounds, runners, runRounds } from "../test/clients/support/leave-rounds.ts";
import { build } from "./build.ts";
import { list, parseOptions, runScript, whole } from "./command-line.ts";

/** What is installed for it; `npm ci` does without. */
const packages = {
  jest: "30.5.2",
  "node-24": "npm:node@24.21.0",
  "node-26": "npm:node@26.10.0",
};
const nodes = ["24", "26"] as const;

const help = `npm run test:leave -- [options]

  --rounds N      of each combination, 1 to 10000 (default 100)
  --runners LIST  of ${runners.join(", ")} (default: all)
  --drivers LIST  of ${drivers.join(", ")} (default: all)
  --nodes LIST    of ${nodes.join(", ")} (default: all)
  --own-engines   a new engine for each round, as users have it, which takes ten times as long; without it, the databases of
                  a run share one
  --jobs N        how many runs there are at a time, 1 to 64 (default 2)
  --help          this text
`;

const options = {
  rounds: { type: "string", default: "100" },
  runners: { type: "string", default: runners.join() },
  drivers: { type: "string", default: drivers.join() },
  nodes: { type: "string", default: nodes.join() },
  "own-engines": { type: "boolean", default: false },
  jobs: { type: "string", default: "2" },
  help: { type: "boolean" },
} as const;

/** What is to be run. */
interface Plan {
  readonly suites: readonly Suite[];
  readonly jobs: number;
}

type Suite = Rounds & { readonly version: (typeof nodes)[number] };

await runScript({ help, read, run });

function read(argv: readonly string[]): Plan | "help" {
  const values = parseOptions(argv, options, help);
  if (values.help) return "help";
  const rounds = whole("--rounds", values.rounds, 1, 10_000);
  const keepsEngine = !values["own-engines"];
  const suites: Suite[] = [];
  for (const version of list("--nodes", values.nodes, nodes)) {
    for (const runner of list("--runners", values.runners, runners)) {
      for (const driver of list("--drivers", values.drivers, drivers)) {
        suites.push({ version, runner, driver, rounds, keepsEngine });
      }
    }
  }
  return { suites, jobs: whole("--jobs", values.jobs, 1, 64) };
}

async function run({ suites, jobs }: Plan): Promise<void> {
  await build();
  const jestModules = install();
  const queue = [...suites];
  const outcomes: Outcome[] = [];
  const work = async () => {
    for (let suite = queue.shift(); suite; suite = queue.shift()) {
      const node = join(jestModules, `node-${suite.version}`, "bin/node");
      const outcome = await runRounds({ ...suite, node, jestModules });
      outcomes.push(outcome);
      report(suite, outcome);
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  const done = outcomes.reduce((sum, outcome) => sum + outcome.done, 0);
  const disturbed = outcomes.reduce((sum, outcome) => sum + outcome.disturbed, 0);
  const failed = outcomes.filter(({ code }) => code !== 0).length;
  console.log(`${done} rounds in ${outcomes.length} runs: ${disturbed} disturbed, ${failed} runs failed`);
  const expected = suites.reduce((sum, { rounds }) => sum + rounds, 0);
  process.exitCode = done < expected || disturbed > 0 || failed > 0 ? ExitCode.failure : ExitCode.ok;
}

function report({ version, runner, driver, rounds }: Suite, outcome: Outcome): void {
  const { code, done, disturbed, errors } = outcome;
  const where = `Node ${version}  ${runner.padEnd(9)}  ${driver.padEnd(11)}`;
  console.log(`${where}  ${done} of ${rounds} rounds, ${disturbed} disturbed, exit ${code}`);
  for (const error of errors) console.log(`  ${error}`);
  if (code !== 0 && errors.length === 0) console.log(outcome.all);
}

/** Returns the node_modules. */
function install(): string {
  const directory = mkdtempSync(join(tmpdir(), "pglite-devdb-runners-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  writeFileSync(join(directory, "package.json"), JSON.stringify({ private: true, dependencies: packages }));
  const { status } = spawnSync("npm", ["install", "--no-audit", "--no-fund"], { cwd: directory, stdio: "inherit" });
  if (status !== 0) throw new Error(`npm install of ${Object.keys(packages).join(", ")} ended with ${status}`);
  return join(directory, "node_modules");
}
