import { readdirSync, readFileSync } from "node:fs";
import { configDefaults, defineConfig } from "vitest/config";
import quick from "./vitest.config.ts";

/** Those of `npm test` that are run here with the other kind of sessions: see `sessionsOfRun`. */
const otherSessions = readdirSync("test", { recursive: true, encoding: "utf8" })
  .filter((name) => /\.test\.ts$/.test(name))
  .map((name) => `test/${name}`)
  .filter((path) => /\bsessionsOfRun\b/.test(readFileSync(path, "utf8")));

const { reporters, globalSetup, ...files } = quick.test!;
const shared = { ...files, env: { TEST_LONG: "1" }, exclude: configDefaults.exclude, testTimeout: 3_600_000 };

// `npm run test:long`: first the other kind of sessions, as `npm test` runs its files; then what takes minutes, one file after the other,
// as some of it wants a thousand connections or all memory.
export default defineConfig({
  test: {
    ...(reporters ? { reporters } : {}),
    ...(globalSetup ? { globalSetup } : {}),
    projects: [
      { test: { ...shared, name: "other sessions", include: otherSessions, sequence: { groupOrder: 0 } } },
      {
        test: {
          ...{ ...shared, name: "long", include: ["test/**/*.long.test.ts"] },
          ...{ fileParallelism: false, maxWorkers: 1, sequence: { groupOrder: 1 } },
        },
      },
    ],
  },
});
