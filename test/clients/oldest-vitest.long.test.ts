/**
 * `pglite-devdb/vitest` with the oldest vitest that package.json takes; this project's own tests run it with the newest: see `vitest.test.ts`.
 *
 * @module-tag long
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { expect, test } from "vitest";
import { requirePackage } from "./support/npm-packages.ts";
import { makeProject, runInProject } from "./support/runner-project.ts";

test("a database for each test, file and worker with vitest 3.2", async (context) => {
  const vitest = requirePackage(context, "vitest 3.2");
  const postgres = join(import.meta.dirname, "../../node_modules/postgres");
  const project = makeProject("vitest", { vitest, postgres });
  const config = join(project, "vitest.config.ts");
  writeFileSync(config, readFileSync(config, "utf8").replace("../migrations", "./migrations"));
  writeFileSync(join(project, "package.json"), '{ "type": "module" }');
  const ended = await runInProject(project, [join(vitest, "vitest.mjs"), "run"]);
  // It takes FORCE_COLOR=0 for a wish for colors.
  const [all, code] = [stripVTControlCharacters(ended.all), ended.code];
  expect(all).toMatch(/Tests +1 failed \| 15 passed \(16\)/);
  expect(all).toMatch(/"fails on purpose" has failed; its database is kept: postgresql:/);
  expect(all).not.toMatch(/unhandled|close timed out|hanging/i);
  expect(code, all).toBe(1);
});
