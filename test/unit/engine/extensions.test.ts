/**
 * Extension names against the packages that are really installed.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, expect, test } from "vitest";
import {
  contribExtensions,
  findExtensions,
  importExtensions,
  packageExtensions,
} from "../../../src/engine/extensions.ts";
import { UsageError } from "../../../src/errors.ts";

const cwd = mkdtempSync(join(tmpdir(), "extensions-"));
afterAll(() => rmSync(cwd, { recursive: true, force: true }));

const find = (...names: string[]) => findExtensions(names, cwd, "--extension");
const load = (...names: string[]) => importExtensions(find(...names));

test("the list is exactly what the pinned PGlite ships", () => {
  const contrib = join(dirname(createRequire(import.meta.url).resolve("@electric-sql/pglite")), "contrib");
  const shipped = readdirSync(contrib).flatMap((file) => (file.endsWith(".js") ? [file.slice(0, -3)] : []));
  expect([...contribExtensions].sort()).toEqual(shipped.sort());
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
    expect(() => find(name)).toThrow(`--extension: there is no extension "${name}"; the extensions are age, `);
  }
});

test("a package that only the project has is found there, also as CommonJS", async () => {
  const home = join(cwd, "node_modules/only-here");
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, "package.json"), '{"name": "only-here", "main": "index.cjs"}');
  writeFileSync(join(home, "index.cjs"), 'const name = "thing"; module.exports = { [name]: { name } };');
  const packages = { thing: "only-here", gone: "not-here-either" };
  const found = findExtensions(["thing"], cwd, "-e", packages);
  expect(await importExtensions(found)).toEqual({ thing: { name: "thing" } });
  expect(() => findExtensions(["gone"], cwd, "DEV_DB_EXTENSIONS", packages)).toThrow(
    "DEV_DB_EXTENSIONS: the extension gone needs the package not-here-either, which is not installed; npm install",
  );
});
