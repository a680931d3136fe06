/**
 * An application whose module makes a pool at its import, from a `.env` that names a development server (test/runners/module-pool): in each
 * runner its tests write into their own databases, and not one row into the development server's.
 */
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import pg from "pg";
import { expect, test } from "vitest";
import { startDevDb } from "../../src/index.ts";
import { requirePackage } from "./support/npm-packages.ts";
import { makeProject, runInProject } from "./support/runner-project.ts";

/** Runs the project's tests beside a development server. */
async function expectIsolated(packages: Record<string, string>, args: readonly string[], passed: RegExp) {
  const dev = await startDevDb({ port: 0, migrations: "none" });
  const client = new pg.Client(dev.url);
  await client.connect();
  try {
    await client.query("create table people (id serial primary key, name text)");
    const project = makeProject("module-pool", packages);
    const variables = Object.entries(dev.env).map(([name, value]) => `${name}=${value}\n`);
    writeFileSync(join(project, ".env"), variables.join(""));
    const ended = await runInProject(project, args);
    const said = stripVTControlCharacters(ended.all);
    expect(said).toMatch(passed);
    expect(ended.code, said).toBe(0);
    expect(said).not.toMatch(/unhandled|did not exit|open handles|pglite-devdb: /i);
    expect((await client.query("select * from people")).rows).toEqual([]);
  } finally {
    await client.end();
    await dev.close();
  }
}

test("vitest: a pool in a module never reaches the server that .env names", async () => {
  const vitest = dirname(createRequire(import.meta.url).resolve("vitest/package.json"));
  const args = [join(vitest, "vitest.mjs"), "run", "--config", "vitest/vitest.config.js"];
  await expectIsolated({ vitest }, args, /Tests +9 passed/);
});

test("vitest: files that share a process share its pool", async () => {
  const vitest = dirname(createRequire(import.meta.url).resolve("vitest/package.json"));
  const args = [join(vitest, "vitest.mjs"), "run", "--config", "vitest/vitest.config.js", "--no-isolate"];
  await expectIsolated({ vitest }, args, /Tests +9 passed/);
});

test("node:test: a pool in a module never reaches the server that .env names", async () => {
  const args = ["--test", "--test-global-setup=node-test/setup.mjs", "node-test/*.test.mjs"];
  await expectIsolated({}, args, /pass 9/);
});

test("jest: a pool in a module never reaches the server that .env names", { tags: "long" }, async (context) => {
  const jest = requirePackage(context, "jest");
  await expectIsolated({ jest }, [join(jest, "bin/jest.js"), "--config", "jest/jest.config.js"], /9 passed/);
});

test("Playwright: a pool in a module never reaches the server that .env names", { tags: "long" }, async (context) => {
  const playwright = requirePackage(context, "@playwright/test");
  const args = [join(playwright, "cli.js"), "test", "--reporter=list", "--config", "playwright/playwright.config.mjs"];
  await expectIsolated({ "@playwright/test": playwright }, args, /9 passed/);
});
