/** `pglite-devdb/vitest` in a project of its own (test/runners/vitest), run by vitest as its user runs it. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../support/cli-process.ts";
import { engineEnvironment } from "../support/engine-under-test.ts";

const project = fileURLToPath(new URL("../runners/vitest", import.meta.url));
const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");

interface Report {
  readonly numTotalTests: number;
  readonly numFailedTests: number;
  readonly success: boolean;
}

function runVitest(...args: readonly string[]): Promise<{ code: number | null; said: string; report: Report }> {
  const file = join(temporaryDirectory(), "report.json");
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(VITEST|TEST$|NODE_ENV$|DEV_DB_|DATABASE_URL$)/.test(name),
  );
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
  const child = spawn(process.execPath, [vitest, "run", "--root", project, ...reporters, ...args], {
    env: { ...Object.fromEntries(inherited), ...engineEnvironment() },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (bytes: Buffer) => {
      said += bytes.toString();
    });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      resolve({ code, said, report: JSON.parse(readFileSync(file, "utf8")) as Report });
    });
  });
}

test("a database for each test, file and worker, and the run ends by itself", async () => {
  const { code, said, report } = await runVitest();
  expect(said).not.toMatch(/unhandled|close timed out|hanging/i);
  expect(report, said).toMatchObject({ success: false, numFailedTests: 1, numTotalTests: 16 });
  expect(said).toMatch(/"fails on purpose" has failed; its database is kept: postgresql:/);
  expect(code).toBe(1);
});
