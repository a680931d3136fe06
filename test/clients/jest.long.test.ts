/**
 * `pglite-devdb/jest` in a project of its own (test/runners/jest), run by jest as its user runs it: see `runners.test.ts`.
 *
 * @module-tag long
 */
import { join } from "node:path";
import { test } from "vitest";
import { requirePackage } from "./support/npm-packages.ts";
import { expectAllButOne, makeProject, runInProject } from "./support/runner-project.ts";

test("jest, whose tests are CommonJS", async (context) => {
  const jest = requirePackage(context, "jest");
  const project = makeProject("jest", { jest });
  const ended = await runInProject(project, [join(jest, "bin/jest.js")]);
  expectAllButOne(ended, /Tests: +1 failed, 8 passed, 9 total/, /● fails on purpose/);
});
