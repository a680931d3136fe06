/**
 * Rounds of a suite that ends its pool and closes its database, in a real test runner, in a project of their own.
 *
 * Owns: the project (a copy of the built package and links to what a user would install beside it), the runners' command
 * lines, and the count of what went wrong. Does not own: the rounds (`programs/leave.test.mjs`).
 * Invariant: the project goes when the runner has ended.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { build as bundle } from "esbuild";
import { external } from "../../../scripts/build.ts";
import { run } from "./run-program.ts";

/** What test suites are run by. */
export const runners = ["vitest", "jest", "node:test"] as const;
type Runner = (typeof runners)[number];

/** What they connect with; drizzle is on a pool of pg. */
export const drivers = ["pg", "postgres.js", "drizzle"] as const;
type Driver = (typeof drivers)[number];

/** One run. */
export interface Rounds {
  readonly runner: Runner;
  readonly driver: Driver;
  readonly rounds: number;
  /** The Node to run it on; this one if it is left out. */
  readonly node?: string | undefined;
  /** The directory of the package; the checkout if it is left out. */
  readonly product?: string | undefined;
  /** Whether all databases of the run are on one engine: then a round takes a tenth of the time. */
  readonly keepsEngine?: boolean;
  /** A node_modules with jest. */
  readonly jestModules?: string | undefined;
}

/** How it went. */
export interface Outcome {
  /** The runner's exit code; null if it was killed. */
  readonly code: number | null;
  /** How many rounds came to their end. */
  readonly done: number;
  /** How many rounds had an error that nobody caught. */
  readonly disturbed: number;
  /** Those errors, each once. */
  readonly errors: readonly string[];
  /** Everything for the message of a failed expectation. */
  readonly all: string;
}

const root = join(import.meta.dirname, "..", "..", "..");
const programs = join(import.meta.dirname, "..", "programs");
const besides = ["pg", "postgres", "drizzle-orm", "vitest"];
const msPerRound = 10_000;

/** Runs them. Rejects only if the runner cannot be started. */
export async function runRounds(options: Rounds): Promise<Outcome> {
  const project = makeProject(options.product ?? root);
  try {
    if (options.keepsEngine) await keepEngine(project);
    const report = join(project, "report");
    writeFileSync(report, "");
    const { code, all } = await run(options.node ?? process.execPath, commandLine(options, project), {
      cwd: project,
      env: {
        NODE_OPTIONS: `--import=${pathToFileURL(join(programs, "leave-monitor.mjs"))}`,
        LEAVE_ROUNDS: `${options.rounds}`,
        LEAVE_DRIVER: options.driver,
        LEAVE_REPORT: report,
        CI: "",
      },
      limitMs: 300_000 + options.rounds * msPerRound,
    });
    return { code, ...readReport(readFileSync(report, "utf8")), all };
  } finally {
    rmSync(project, { recursive: true, force: true, maxRetries: 3 });
  }
}

function makeProject(product: string): string {
  const project = mkdtempSync(join(tmpdir(), "pglite-devdb-leave-"));
  const packages = join(project, "node_modules");
  const manifest = readFileSync(join(product, "package.json"), "utf8");
  const { dependencies } = JSON.parse(manifest) as { dependencies: Record<string, string> };
  for (const name of [...Object.keys(dependencies), ...besides]) {
    mkdirSync(dirname(join(packages, name)), { recursive: true });
    symlinkSync(join(root, "node_modules", name), join(packages, name));
  }
  // A copy: what a link leads to would find the packages of the checkout, and be compiled by the runners.
  const installed = join(packages, "pglite-devdb");
  const skip = /\.map$|[\\/]types$/;
  cpSync(join(product, "dist"), join(installed, "dist"), { recursive: true, filter: (path) => !skip.test(path) });
  writeFileSync(join(installed, "package.json"), manifest);
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "suite", private: true, type: "module" }));
  cpSync(join(programs, "leave.test.mjs"), join(project, "leave.test.mjs"));
  return project;
}

/** Puts the stand-in in the place of the library, beside the product's engine thread. */
async function keepEngine(project: string): Promise<void> {
  await bundle({
    absWorkingDir: root,
    entryPoints: [join(import.meta.dirname, "kept-engine.ts")],
    outfile: join(project, "node_modules/pglite-devdb/dist/index.js"),
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    external,
    logLevel: "warning",
  });
}

function commandLine({ runner, jestModules }: Rounds, project: string): string[] {
  switch (runner) {
    case "node:test":
      return ["--test", "leave.test.mjs"];
    case "vitest":
      return [
        join(project, "node_modules/vitest/vitest.mjs"),
        "run",
        "--globals",
        "--testTimeout=60000",
        "--hookTimeout=60000",
      ];
    case "jest": {
      if (jestModules === undefined) throw new Error("jest is not installed here: name a node_modules that has it");
      const config = { rootDir: project, testMatch: ["**/*.test.mjs"], transform: {}, testTimeout: 300_000 };
      const program = join(jestModules, "jest/bin/jest.js");
      return ["--experimental-vm-modules", program, "--config", JSON.stringify(config)];
    }
  }
}

function readReport(report: string): Pick<Outcome, "done" | "disturbed" | "errors"> {
  const disturbed = new Set<string>();
  const errors = new Set<string>();
  let done = 0;
  let current = "before the first round";
  for (const line of report.split("\n")) {
    const [, word, rest] = /^(\w+) (.*)$/.exec(line) ?? [];
    if (word === "round") current = rest!;
    else if (word === "done") done++;
    else if (word === "uncaught") {
      disturbed.add(current);
      errors.add(rest!);
    }
  }
  return { done, disturbed: disturbed.size, errors: [...errors] };
}
