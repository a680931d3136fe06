import { availableParallelism } from "node:os";
import { configDefaults, defineConfig } from "vitest/config";
import { SkipReporter } from "./test/support/skip-reporter.ts";

/** What all runs have. */
export const common = {
  tags: [{ name: "long", description: "takes long: npm run test:long" }],
  // Node runs our TypeScript as it is, several times as fast as what Vite makes of it; that of the patched library it does not.
  experimental: { viteModuleRunner: false, nodeLoader: false },
  execArgv: ["--no-warnings", "--import", new URL("test/support/socket-library-loader.ts", import.meta.url).href],
  pool: "forks" as const,
  // Most tests wait for processes, some of them for a time: two more than there are cores keep these busy.
  maxWorkers: availableParallelism() + 2,
  // No test asserts how long something takes. These end what hangs: the slowest test of `npm test` takes 16 s beside ten busy processes.
  testTimeout: 60_000,
  hookTimeout: 120_000,
  expect: { poll: { timeout: 45_000 } },
};

/** Of the whole run. */
export const run = {
  globalSetup: ["test/support/global-setup.ts"],
  reporters: [new SkipReporter(), "default"],
};

const long = "test/**/*.long.test.ts";
/**
 * Beginnings of paths: these have the engine thread's PostgreSQL, or what V8 makes of it, in the process of the test. No other PGlite
 * works there afterwards.
 */
export const ownProcess = [
  "test/faults/memory-bound.test.ts",
  "test/sessions/engine/",
  "test/unit/cluster/",
  "test/unit/engine/",
  "test/unit/system/",
  "test/unit/sessions/",
  "test/unit/socket/",
];
/** Random tests repeat themselves in `npm test`; SEED makes them others, and `npm run test:long` draws one. */
const env = { SEED: process.env.SEED ?? "1" };

const filesWithOwnProcess = ownProcess.map((path) => (path.endsWith("/") ? `${path}**/*.test.ts` : path));

// `npm test`: what proves the claims in some minutes. What takes long has the tag `long`, and is in files named `*.long.test.ts` where
// all of the file does: `npm run test:long` (vitest.long.config.ts).
export default defineConfig({
  test: {
    ...run,
    projects: [
      {
        test: {
          ...{ ...common, env, name: "own process", include: filesWithOwnProcess },
          exclude: [...configDefaults.exclude, long],
        },
      },
      {
        // A process for many files, one after the other: starting one, and reading the sources, took most of the time of many.
        test: {
          ...{ ...common, env, name: "one process", include: ["test/**/*.test.ts"], isolate: false },
          exclude: [...configDefaults.exclude, long, ...filesWithOwnProcess],
        },
      },
    ],
  },
});
