/**
 * `pglite-devdb/playwright` and `/node-test` in projects of their own (test/runners), run as their users run them. Each project has
 * one test that fails on purpose, whose database is kept. vitest's is in `vitest.test.ts`, jest's, which takes long to install, in
 * `jest.long.test.ts`.
 */
import { join } from "node:path";
import { test } from "vitest";
import { requirePackage } from "./support/npm-packages.ts";
import { expectAllButOne, makeProject, runInProject } from "./support/runner-project.ts";

test("Playwright", { tags: "long" }, async (context) => {
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
