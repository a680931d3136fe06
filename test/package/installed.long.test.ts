/**
 * The package as its users get it: packed, published, and installed into empty folders, by each package manager and with each Node.
 * What the README tells them to type is typed there, word for word; only registry and port come from the environment.
 *
 * @module-tag long
 */
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, inject, type TestContext, test } from "vitest";
import { requirePackage } from "../clients/support/npm-packages.ts";
import { run } from "../clients/support/run-program.ts";
import { temporaryDirectory } from "../support/cli-process.ts";
import { environmentOf, installers } from "./support/installers.ts";
import { commands, programs } from "./support/readme.ts";
import { writeReadmeProject } from "./support/readme-project.ts";
import { type Registry, serveRegistry } from "./support/registry.ts";
import { type } from "./support/shell.ts";

let published: Registry;
beforeAll(async () => {
  published = await serveRegistry(inject("runDirectory"));
  return () => published.close();
});

const nodes = ["Node 22", "Node 24", "Node 26"] as const;

/** An empty folder but for a migration, a seed and a test; a command is typed there with a Node. */
function makeProject(context: TestContext) {
  const [project, home] = [temporaryDirectory(), temporaryDirectory()];
  writeReadmeProject(project);
  const enter = (node: (typeof nodes)[number], command: string) =>
    type(command, project, environmentOf(home, published.url, join(requirePackage(context, node), "bin")));
  return { project, enter };
}

/** What the check says that the Node has found. */
const foundBy = (node: string) => expect.stringMatching(`${node.replace("Node ", "v")}\\..* found 42 off`);

for (const node of nodes) {
  test(`the README's commands, in their order, do what it says, with npm and ${node}`, async (context) => {
    const { project, enter } = makeProject(context);
    const [start, install, keep, runTests, ...others] = commands;
    expect(others).toEqual([]);

    const shown = enter(node, start!.command);
    await shown.says(start!.prints);
    expect(shown.said()).toMatch(start!.prints);
    shown.interrupt();
    await shown.ended;

    const installing = enter(node, install!.command);
    expect([await installing.ended, installing.said()]).toEqual([0, expect.not.stringMatching(/err|deprecated/i)]);
    expectSmall(project);
    await enter(node, "npm install --save-dev pg").ended;

    const kept = enter(node, keep!.command);
    await kept.says(/URL +postgresql:/);
    expect(kept.said()).toMatch(/1 migration applied/);
    kept.interrupt();
    await kept.ended;
    expect(readdirSync(join(project, "data"))).toContain("PG_VERSION");

    const tested = enter(node, runTests!.command);
    expect([await tested.ended, tested.said()]).toEqual([0, foundBy(node)]);

    writeFileSync(join(project, "program.js"), `${programs[0]}console.log("closed");`);
    const program = enter(node, "node program.js");
    expect([await program.ended, program.said()]).toEqual([0, expect.stringContaining("closed")]);
  });
}

for (const { package: name, program, add, exec } of installers) {
  test(`it can be installed with ${name}, and runs on each Node`, async (context) => {
    const { project, enter } = makeProject(context);
    const path = join(requirePackage(context, name), program);
    const manager = program.endsWith("js") ? `node "${path}"` : `"${path}"`;
    // Without it Yarn looks for a project in the folders above.
    if (name === "Yarn") writeFileSync(join(project, "yarn.lock"), "");
    const adding = enter("Node 24", `${manager} ${add} pglite-devdb pg`);
    expect([await adding.ended, adding.said()]).toEqual([0, expect.any(String)]);
    for (const node of nodes) {
      // TLS and passwords need the packages that a mere start does not load.
      const tested = enter(node, `${manager} ${exec} pglite-devdb run --tls auto --password Kennwört -- node check.js`);
      expect([await tested.ended, tested.said()]).toEqual([0, foundBy(node)]);
    }
  });
}

/** What its users have to download and to trust. */
function expectSmall(project: string): void {
  const lock = JSON.parse(readFileSync(join(project, "node_modules/.package-lock.json"), "utf8")) as {
    packages: Record<string, unknown>;
  };
  const names = Object.keys(lock.packages).filter((name) => name !== "node_modules/pglite-devdb");
  expect(names.length, names.join()).toBeLessThanOrEqual(5);
  expect(sizeOf(join(project, "node_modules")) / 1e6).toBeLessThanOrEqual(35);
}

function sizeOf(directory: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
}

describe("its types and entries", () => {
  test("publint has nothing to say", async (context) => {
    const publint = join(requirePackage(context, "publint"), "src/cli.js");
    const { code, all } = await run(process.execPath, [publint, "run", published.tarball, "--strict"]);
    expect(all).toMatch(/All good/);
    expect(code).toBe(0);
  });

  test("attw finds no wrong type: who requires it gets ES modules, and for jest CommonJS", async (context) => {
    const attw = join(requirePackage(context, "attw"), "dist/index.js");
    const rules = ["--profile", "node16", "--ignore-rules", "cjs-resolves-to-esm"];
    const { code, all } = await run(process.execPath, [attw, published.tarball, ...rules, "--no-color", "--no-emoji"]);
    expect(all).toMatch(/"pglite-devdb\/jest" +│ OK \(CJS\) +│ OK \(ESM\)/);
    expect(code, all).toBe(0);
  });
});
