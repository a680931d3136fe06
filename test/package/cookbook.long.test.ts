/**
 * Commands of docs/cookbook.md that no other test has: they are taken from there and typed word for word, in projects of test/runners
 * where the package is installed.
 *
 * @module-tag long
 */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import pg from "pg";
import { expect, test } from "vitest";
import { type NpmPackage, requirePackage } from "../clients/support/npm-packages.ts";
import { makeProject } from "../clients/support/runner-project.ts";
import { type } from "./support/shell.ts";

const cookbook = readFileSync(join(import.meta.dirname, "../../docs/cookbook.md"), "utf8");
const environment = { PATH: `${dirname(process.execPath)}:${process.env.PATH}`, FORCE_COLOR: "0" };

/** The first block below a heading. */
function recipe(heading: string): string {
  const [, section = ""] = cookbook.split(`### ${heading}\n`);
  return /^```\w*\n(.*?)^```$/ms.exec(section)![1]!;
}

for (const [heading, name] of [
  ["Knex", "knex"],
  ["TypeORM", "typeorm"],
] satisfies [string, NpmPackage][]) {
  test(`${heading} migrates, and the project's tests find what it has made`, async (context) => {
    const project = makeProject(name, { [name]: requirePackage(context, name) });
    const typed = type(recipe(heading), project, environment);
    expect([await typed.ended, typed.said()]).toEqual([0, expect.stringContaining("found Ada,Grace")]);
  });
}

test("a service is there for the steps that come afterwards", async () => {
  const project = makeProject("node-test");
  // The shell of a step ends; the server must not end with it.
  const step = type(recipe("A service for several steps"), project, {
    ...environment,
    DEV_DB_PORT: "0",
    GITHUB_ENV: "github",
  });
  await step.exited;
  const url = /^DATABASE_URL=(.*)$/m.exec(readFileSync(join(project, "github"), "utf8"))![1]!;
  const client = new pg.Client(url);
  await client.connect();
  expect((await client.query("select name from people")).rows).toEqual([]);
  await client.end();
});
