import { availableParallelism } from "node:os";
import { configDefaults, defineConfig } from "vitest/config";
import { SkipReporter } from "./test/support/skip-reporter.ts";

// `npm test`. What takes long is in files named `*.long.test.ts`: `npm run test:long` (vitest.long.config.ts).
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: [...configDefaults.exclude, "test/**/*.long.test.ts"],
    // The patched library is TypeScript source (see patches/README.md): let vitest compile it like our own.
    server: { deps: { inline: ["@electric-sql/pglite-socket"] } },
    globalSetup: ["test/support/global-setup.ts"],
    reporters: [new SkipReporter(), "default"],
    pool: "forks",
    // Most tests wait for processes, some of them for a time: one more than there are cores keeps these busy.
    maxWorkers: availableParallelism() + 1,
    // No test asserts how long something takes; these are for what never ends, also on a machine that is busy.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    expect: { poll: { timeout: 300_000 } },
  },
});
