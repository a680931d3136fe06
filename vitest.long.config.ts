import { readdirSync, readFileSync } from "node:fs";
import { configDefaults, defineConfig } from "vitest/config";
import { common, ownProcess, run } from "./vitest.config.ts";

/** Files with tests that take long; the others in them are those of `npm test`, and are not run again. */
const include = readdirSync("test", { recursive: true, encoding: "utf8" })
  .filter((name) => /\.test\.ts$/.test(name))
  .map((name) => `test/${name}`)
  .filter(hasLongTests);

function hasLongTests(path: string): boolean {
  const text = readFileSync(path, "utf8");
  const isWhole = text.includes("@module-tag long");
  if (isWhole !== path.endsWith(".long.test.ts")) {
    throw new Error(
      `${path}: a file has the line "@module-tag long" in its head if it is named *.long.test.ts, and only then`,
    );
  }
  if (/tags: \[/.test(text)) throw new Error(`${path}: say tags: "long", by which this configuration finds it`);
  return isWhole || /tags: "long"|\b(?:describeSessions|describeTargets|golden)\(/.test(text);
}

function hasOwnProcess(path: string): boolean {
  return ownProcess.some((beginning) => path.startsWith(beginning));
}

/** Those that want a thousand connections, or all memory or both cores for themselves. */
const alone = [
  "test/cli/many-starts.long.test.ts",
  "test/concurrency/hundred-thousand.long.test.ts",
  "test/concurrency/split-storm.long.test.ts",
  "test/faults/process-memory.long.test.ts",
  "test/faults/process-memory.test.ts",
  "test/sessions/many-connections.long.test.ts",
];

const shared = {
  ...common,
  exclude: configDefaults.exclude,
  // What takes longer says so itself.
  testTimeout: 600_000,
  expect: { poll: { timeout: 120_000 } },
};
const sideBySide = { ...shared, exclude: [...shared.exclude, ...alone], sequence: { groupOrder: 0 } };

// `npm run test:long`: what takes minutes, and at last, one file after the other, what wants to be alone.
export default defineConfig({
  test: {
    ...run,
    projects: [
      {
        test: {
          ...{ ...sideBySide, name: "own process", include: include.filter(hasOwnProcess) },
        },
      },
      {
        test: {
          ...{ ...sideBySide, name: "one process", include: include.filter((path) => !hasOwnProcess(path)) },
          isolate: false,
        },
      },
      {
        test: {
          ...{ ...shared, name: "alone", include: alone },
          ...{ fileParallelism: false, maxWorkers: 1, sequence: { groupOrder: 1 } },
        },
      },
    ],
  },
});
