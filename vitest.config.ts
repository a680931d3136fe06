import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/**/*.storm.test.ts"],
    // The patched library is TypeScript source (see patches/README.md): let vitest compile it like our own.
    server: { deps: { inline: ["@electric-sql/pglite-socket"] } },
    globalSetup: ["test/support/global-setup.ts"],
    pool: "forks",
    // Vitest would leave one of two cores to itself; most tests wait for processes.
    ...(process.env.CI ? { maxWorkers: 2 } : {}),
    // Many tests run real processes and WebAssembly engines side by side on two cores, and what the stock library shows
    // hangs on timing: CI gives a test a second chance and names it. Locally nothing is retried.
    retry: process.env.CI ? 2 : 0,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
