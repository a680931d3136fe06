/**
 * The applications and the entry points for test suites, which other files test on PGlite, on a native PostgreSQL and on a server that is
 * there: the same files, with TEST_ENGINE.
 * @module-tag long
 */
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { DevDb } from "../../src/index.ts";
import { run } from "../clients/support/run-program.ts";
import { at, databases, hasNative, requireNative, startNative } from "./support/native.ts";

const root = join(import.meta.dirname, "../..");
const files = [
  "test/clients/vitest.test.ts",
  "test/clients/runners.test.ts",
  "test/clients/applications/two-services.test.ts",
  "test/clients/applications/tpc-b.test.ts",
];

let server: DevDb;
beforeAll(async () => {
  if (hasNative) server = await startNative({ maxConnections: 200 });
});
beforeEach(requireNative);
afterAll(() => server?.close());

async function runFiles(engine: string): Promise<string> {
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const args = [vitest, "run", "--no-color", "--maxWorkers=1", ...files];
  const ended = await run(process.execPath, args, { cwd: root, env: { TEST_ENGINE: engine }, limitMs: 500_000 });
  expect(ended.code, ended.all).toBe(0);
  return ended.stdout;
}

test("on a native PostgreSQL that each of them starts", async () => {
  expect(await runFiles("postgres")).toMatch(/Test Files +4 passed/);
});

test("on a server that is there, on which nothing is left but databases that were named", async () => {
  expect(await runFiles(at(server.url, "test"))).toMatch(/Test Files +4 passed/);
  expect((await databases(server.url)).filter((name) => !/^(test|app_[0-9a-f]{8})$/.test(String(name)))).toEqual([]);
});
