import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/**/*.storm.test.ts"],
    // The patched library is TypeScript source (see patches/README.md): let vitest compile it like our own.
    server: { deps: { inline: ["@electric-sql/pglite-socket"] } },
    globalSetup: ["test/support/global-setup.ts"],
    pool: "forks",
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
