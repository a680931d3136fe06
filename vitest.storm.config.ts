import { defineConfig } from "vitest/config";

// The long storm (`npm run test:storm`, which builds dist/ first): minutes, and nothing beside it.
export default defineConfig({
  test: {
    include: ["test/**/*.storm.test.ts"],
    pool: "forks",
    fileParallelism: false,
    testTimeout: 3_600_000,
    hookTimeout: 60_000,
  },
});
