/**
 * The patch is the installed library: applied to a pristine copy it gives the same files, and nothing runs without it.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import * as patched from "@electric-sql/pglite-socket";
import * as stock from "pglite-socket-stock";
import { afterAll, expect, test } from "vitest";
import { requirePatched } from "../../src/transport/serve.ts";

const root = join(import.meta.dirname, "../..");
const installed = join(root, "node_modules/@electric-sql/pglite-socket");
const scratch = mkdtempSync(join(tmpdir(), "pglite-devdb-patch-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function filesOf(directory: string): Map<string, string> {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return new Map(files.sort().map((file) => [relative(directory, file), readFileSync(file, "utf8")]));
}

test("the patch, applied to the published package, gives exactly what is installed", () => {
  const copy = join(scratch, "node_modules/@electric-sql/pglite-socket");
  cpSync(join(root, "node_modules/pglite-socket-stock"), copy, { recursive: true });
  const patch = join(root, "patches/@electric-sql+pglite-socket+0.2.17.patch");
  execFileSync("git", ["apply", patch], { cwd: scratch });
  expect(filesOf(copy)).toEqual(filesOf(installed));
});

test("an unpatched library is refused with a sentence that says how to install properly", () => {
  expect(() => requirePatched(stock as { PATCH_ID?: unknown })).toThrow(/is not patched.*npm ci/s);
  expect(() => requirePatched(patched)).not.toThrow();
});

test("npm runs nothing of this package where it is installed, and warns of nothing", () => {
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    scripts: Record<string, string>;
  };
  const atInstall = ["preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare"];
  expect(Object.keys(scripts).filter((name) => atInstall.includes(name))).toEqual([]);
  expect(scripts.dependencies).toContain("patch-package");
});
