/**
 * Extension names against the packages that are really installed.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import {
  contribExtensions,
  findExtensions,
  importExtensions,
  packageExtensions,
} from "../../../src/engine/extensions.ts";
import { UsageError } from "../../../src/errors.ts";
import { isKnownVersion } from "../../../src/sessions/module/known-binaries.ts";
import { currentPGlite, pgliteVersions } from "../../support/pglite-versions.ts";

const cwd = mkdtempSync(join(tmpdir(), "extensions-"));
afterAll(() => rmSync(cwd, { recursive: true, force: true }));

const find = (...names: string[]) => findExtensions(names, cwd, "--extension");
const load = (...names: string[]) => importExtensions(find(...names));

test("the list is exactly what each PGlite of the range ships", () => {
  for (const { directory } of pgliteVersions.filter(({ isInRange }) => isInRange)) {
    const contrib = join(directory, "dist/contrib");
    const shipped = readdirSync(contrib).flatMap((file) => (file.endsWith(".js") ? [file.slice(0, -3)] : []));
    expect([...contribExtensions].sort()).toEqual(shipped.sort());
  }
});

test("every name leads to an extension", async () => {
  const names = [...contribExtensions, ...Object.keys(packageExtensions)];
  const extensions = await load(...names);
  expect(Object.keys(extensions).sort()).toEqual(names.sort());
  for (const extension of Object.values(extensions)) expect(extension).toMatchObject({ setup: expect.any(Function) });
});

test("PostgreSQL's and people's spellings are understood", async () => {
  expect(Object.keys(await load("uuid-ossp", "pgvector"))).toEqual(["uuid_ossp", "vector"]);
});

test("an unknown name is a usage error that lists what there is", () => {
  for (const name of ["nope", "toString", "live"]) {
    expect(() => find(name)).toThrow(UsageError);
    expect(() => find(name)).toThrow(new RegExp(`^--extension: .*${JSON.stringify(name)}.*\\bage, `));
  }
});

test("a package that only the project has is found there, also as CommonJS", async () => {
  const home = join(cwd, "node_modules/only-here");
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, "package.json"), '{"name": "only-here", "main": "index.cjs"}');
  writeFileSync(join(home, "index.cjs"), 'const name = "thing"; module.exports = { [name]: { name } };');
  const packages = { thing: "only-here@1.2.3", gone: "not-here-either@1.2.3" };
  const found = findExtensions(["thing"], cwd, "-e", packages);
  expect(await importExtensions(found)).toEqual({ thing: { name: "thing" } });
  expect(() => findExtensions(["gone"], cwd, "DEV_DB_EXTENSIONS", packages)).toThrow(
    /^DEV_DB_EXTENSIONS: .*\bgone\b.*npm install --save-dev not-here-either@1\.2\.3$/,
  );
});

test("the versions of the packages are those for a PGlite of the range", () => {
  const require = createRequire(import.meta.url);
  for (const install of Object.values(packageExtensions)) {
    const [, name, version] = /^(.+)@(.+)$/.exec(install)!;
    const home = require.resolve(name!).replace(/(.*node_modules\/@[^/]+\/[^/]+).*/, "$1");
    const manifest = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
    expect(manifest.version).toBe(version);
    const { "@electric-sql/pglite": wanted } = manifest.peerDependencies;
    expect([install, isKnownVersion(wanted)]).toEqual([install, true]);
  }
});

test("any package is taken by its name, with the export behind a colon, and one for another PGlite is doubted", async () => {
  const home = join(cwd, "node_modules/@some/pglite-ext");
  mkdirSync(home, { recursive: true });
  const manifest = {
    name: "@some/pglite-ext",
    exports: "./a.js",
    type: "module",
    peerDependencies: { "@electric-sql/pglite": "0.4.1" },
  };
  writeFileSync(join(home, "package.json"), JSON.stringify(manifest));
  writeFileSync(
    join(home, "a.js"),
    "export const one = { name: 'one', setup() {} }; export const other = { name: 'two', setup() {} };",
  );
  expect(find("@some/pglite-ext:one")).toMatchObject([
    { name: "one", doubt: `@some/pglite-ext is for PGlite 0.4.1, and this is ${currentPGlite.version}` },
  ]);
  expect(await load("@some/pglite-ext:other")).toMatchObject({ other: { name: "two" } });
  await expect(load("@some/pglite-ext")).rejects.toThrow(/\b2 extensions\b.*@scope\/package:EXPORT/);
  await expect(load("@some/pglite-ext:three")).rejects.toThrow("there is no export three");
  expect(() => find("@some/none")).toThrow("npm install --save-dev @some/none");
  const [vector] = find("@electric-sql/pglite-pgvector");
  expect(vector).not.toHaveProperty("doubt");
  expect(Object.values(await importExtensions([vector!]))).toMatchObject([{ setup: expect.any(Function) }]);
});
