/**
 * A project with a hundred tests in a temporary folder, and a run of them.
 *
 * Owns: the folder, its installation, vitest's process, reading what vitest says of each test. Does not own: the tests (`suites.ts`).
 * Invariant: all projects share one installation, so that they differ in nothing else; a run in which a test fails is an error.
 */
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeDirectory } from "../bench/leftovers.ts";
import { holdGroup } from "../process-groups.ts";
import { migration, type Suite, seed, testFile } from "./suites.ts";

const files = 4;
const testsPerFile = 25;

/** What a run has taken. */
export interface RunTimes {
  /** From the start of vitest to its end. */
  readonly runMs: number;
  /** Of each test, with its hooks and fixtures. */
  readonly testsMs: readonly number[];
}

/** A project that can be run. */
interface Project {
  run(environment: Readonly<Record<string, string>>): Promise<RunTimes>;
}

/** Installs packages into a new folder. Rejects with what npm says. */
export async function install(packages: readonly string[]): Promise<string> {
  const folder = makeDirectory();
  writeFileSync(join(folder, "package.json"), "{}");
  await spawned("npm", ["install", "--no-audit", "--no-fund", "--loglevel=error", ...packages], folder, {});
  return join(folder, "node_modules");
}

/** Writes the project of a suite. */
export function makeProject(suite: Suite, modules: string): Project {
  const folder = makeDirectory();
  symlinkSync(modules, join(folder, "node_modules"));
  for (const name of ["migrations", "tests"]) mkdirSync(join(folder, name));
  const all = {
    "package.json": `{ "type": "module" }`,
    "migrations/1_tables.sql": migration,
    "seed.sql": seed,
    "vitest.config.js": `import { defineConfig, mergeConfig } from "vitest/config";
${suite.config.includes("devDb") ? 'import { devDb } from "pglite-devdb/vitest";' : ""}
const tests = { test: { include: ["tests/*.test.js"], pool: "forks", maxWorkers: ${files}, testTimeout: 120_000, hookTimeout: 120_000 } };
export default mergeConfig(defineConfig({ ${suite.config} }), tests);
`,
    ...Object.fromEntries(
      Array.from({ length: files }, (_, i) => [`tests/${i + 1}.test.js`, testFile(suite, testsPerFile)]),
    ),
    ...suite.files,
  };
  for (const [name, text] of Object.entries(all)) writeFileSync(join(folder, name), text);
  return {
    async run(environment) {
      const report = join(folder, "report.json");
      const vitest = join(folder, "node_modules/vitest/vitest.mjs");
      const began = performance.now();
      const reporter = ["--reporter=json", `--outputFile=${report}`];
      await spawned(process.execPath, [vitest, "run", ...reporter], folder, environment);
      const runMs = performance.now() - began;
      return { runMs, testsMs: readReport(readFileSync(report, "utf8")) };
    },
  };
}

function readReport(text: string): number[] {
  const { testResults } = JSON.parse(text) as {
    testResults: { assertionResults: { status: string; duration: number }[] }[];
  };
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
  const passed = tests.filter(({ status }) => status === "passed");
  if (passed.length !== files * testsPerFile) throw new Error(`${passed.length} tests have passed: ${text}`);
  return passed.map(({ duration }) => duration);
}

/** Resolves when it has ended with 0. Rejects with all that it has said. */
function spawned(
  program: string,
  args: readonly string[],
  cwd: string,
  environment: Readonly<Record<string, string>>,
): Promise<void> {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(DEV_DB_|PG|DATABASE_URL$|npm_)/.test(name));
  const child = spawn(program, args, {
    cwd,
    env: { ...Object.fromEntries(inherited), FORCE_COLOR: "0", ...environment },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  holdGroup(child);
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${program} ${args[0]} ended with ${code}: ${said}`));
    });
  });
}
