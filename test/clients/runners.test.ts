/**
 * `pglite-devdb/jest`, `/playwright` and `/node-test` in projects of their own (test/runners), run as their users run them. Each project has
 * one test that fails on purpose, whose database is kept. vitest's is in `vitest.test.ts`.
 */
import { join } from "node:path";
import { expect, test } from "vitest";
import { requirePackage } from "./support/npm-packages.ts";
import type { Run } from "./support/run-program.ts";
import { makeProject, runInProject } from "./support/runner-project.ts";

function expectAllButOne({ code, all }: Run, ...counts: readonly RegExp[]): void {
  for (const count of counts) expect(all).toMatch(count);
  expect(all).toMatch(
    /pglite-devdb: ".*on purpose" has failed; its database is kept: postgresql:\S+\/test~[0-9a-f]{12}\n/,
  );
  expect(all.match(/its database is kept/g)).toHaveLength(1);
  expect(all).not.toMatch(/did not exit|open handles|force exit|unhandled/i);
  expect(code, all).toBe(1);
}

test("jest, whose tests are CommonJS", async (context) => {
  const jest = requirePackage(context, "jest");
  const project = makeProject("jest", { jest });
  const ended = await runInProject(project, [join(jest, "bin/jest.js")]);
  expectAllButOne(ended, /Tests: +1 failed, 8 passed, 9 total/, /● fails on purpose/);
});

test("Playwright", async (context) => {
  const playwright = requirePackage(context, "@playwright/test");
  const project = makeProject("playwright", { "@playwright/test": playwright });
  const ended = await runInProject(project, [join(playwright, "cli.js"), "test", "--reporter=list"]);
  expectAllButOne(ended, /1 failed/, /8 passed/, /the first two: fail on purpose/);
});

test("node:test", async () => {
  const project = makeProject("node-test");
  const ended = await runInProject(project, ["--test", "--test-global-setup=setup.js", "tests/*.test.js"]);
  expectAllButOne(ended, /tests 9/, /fail 1\b/, /✖ fails on purpose/);
});
