/**
 * An extension in a package of its own, beside the package as its users get it: such a package asks for one release of PGlite, and
 * this one takes a range of them, so that npm finds one for both.
 *
 * @module-tag long
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, inject, type TestContext, test } from "vitest";
import { requirePackage } from "../clients/support/npm-packages.ts";
import { temporaryDirectory } from "../support/cli-process.ts";
import { firstInRange, lastInRange } from "../support/pglite-versions.ts";
import { environmentOf } from "./support/installers.ts";
import { type Registry, serveRegistry } from "./support/registry.ts";
import { type } from "./support/shell.ts";

let published: Registry;
beforeAll(async () => {
  published = await serveRegistry(inject("runDirectory"));
  return () => published.close();
});

/** Of pgvector, for the first release of the range. For a later one there is none yet: it goes with all of them. */
const vector = "@electric-sql/pglite-pgvector@0.0.15";

const check = `import pg from "pg";
const client = new pg.Client(process.env.DATABASE_URL);
await client.connect();
await client.query("create extension vector");
const { rows } = await client.query("select '[1,2,3]'::vector <-> '[1,2,5]' as distance, version()");
console.log("a distance of", rows[0].distance, rows[0].version);
await client.end();
`;

/** Types npm's commands one after another in an empty folder, and answers with what a program says that uses the extension. */
async function useVector(context: TestContext, commands: readonly string[]): Promise<string> {
  const [project, home] = [temporaryDirectory(), temporaryDirectory()];
  writeFileSync(join(project, "package.json"), JSON.stringify({ type: "module" }));
  writeFileSync(join(project, "check.js"), check);
  const environment = environmentOf(home, published.url, join(requirePackage(context, "Node 24"), "bin"));
  const enter = async (command: string) => {
    const typed = type(command, project, environment);
    expect([command, await typed.ended, typed.said()]).toEqual([command, 0, expect.any(String)]);
    return typed.said();
  };
  for (const command of commands) await enter(command);
  const lock = readFileSync(join(project, "package-lock.json"), "utf8");
  expect(lock.match(/"node_modules\/(.*\/)?@electric-sql\/pglite":/g)).toHaveLength(1);
  return enter("npx pglite-devdb run --migrations none --sessions isolated -e vector -- node check.js");
}

const works = (pglite: string) => new RegExp(`a distance of 2 PostgreSQL [\\d.]+ \\(PGlite ${pglite}\\)`);

const orders = {
  "at once": [`npm install --save-dev pglite-devdb pg ${vector}`],
  afterwards: ["npm install --save-dev pglite-devdb pg", `npm install --save-dev ${vector}`],
};
for (const [when, commands] of Object.entries(orders)) {
  test(`npm takes the release that the extension asks for, installed ${when}`, async (context) => {
    const said = await useVector(context, commands);
    expect(said).toMatch(works(firstInRange));
  });
}

test("the last release takes the extension of the first, and nobody is warned", async (context) => {
  const last = `@electric-sql/pglite@${lastInRange}`;
  const install = `npm install --save-dev --legacy-peer-deps pglite-devdb pg ${last} ${vector}`;
  const said = await useVector(context, [install]);
  expect(said).toMatch(works(lastInRange));
  expect(said).not.toMatch(/warning|self-check/);
});
