import { availableParallelism } from "node:os";
import { configDefaults, defineConfig } from "vitest/config";
import { SkipReporter } from "./test/support/skip-reporter.ts";

// `npm test`: what proves the claims in some minutes. What takes long has the tag `long`, and is in files named `*.long.test.ts` where
// all of the file does: `npm run test:long` (vitest.long.config.ts).
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: [...configDefaults.exclude, "test/**/*.long.test.ts"],
    tags: [{ name: "long", description: "takes long: npm run test:long" }],
    // Node runs our TypeScript as it is, several times as fast as what Vite makes of it; that of the patched library it does not.
    experimental: { viteModuleRunner: false, nodeLoader: false },
    execArgv: ["--no-warnings", "--import", new URL("test/support/socket-library-loader.ts", import.meta.url).href],
    globalSetup: ["test/support/global-setup.ts"],
    reporters: [new SkipReporter(), "default"],
    pool: "forks",
    // Most tests wait for processes, some of them for a time: two more than there are cores keep these busy.
    maxWorkers: availableParallelism() + 2,
    // No test asserts how long something takes; these are for what never ends, also on a machine that is busy.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    expect: { poll: { timeout: 300_000 } },
  },
});
