import { readdirSync, readFileSync } from "node:fs";
import { configDefaults, defineConfig } from "vitest/config";
import quick from "./vitest.config.ts";

/** Those of `npm test` that are run here with the other kind of sessions: see `sessionsOfRun`. */
const otherSessions = readdirSync("test", { recursive: true, encoding: "utf8" })
  .filter((name) => /\.test\.ts$/.test(name))
  .map((name) => `test/${name}`)
  .filter((path) => /\bsessionsOfRun\b/.test(readFileSync(path, "utf8")));

// `npm run test:long`: what takes minutes, one file after the other, as some of it wants a thousand connections or all memory.
export default defineConfig({
  ...quick,
  test: {
    ...quick.test,
    env: { TEST_LONG: "1" },
    include: ["test/**/*.long.test.ts", ...otherSessions],
    exclude: configDefaults.exclude,
    fileParallelism: false,
    testTimeout: 3_600_000,
  },
});
