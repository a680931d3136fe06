/**
 * Reading the `pglite-devdb` key of package.json.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { UsageError } from "../../src/errors.ts";
import { readPackageJsonOptions } from "../../src/options/package-json.ts";

const directory = mkdtempSync(join(tmpdir(), "package-json-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function read(text: string): unknown {
  writeFileSync(join(directory, "package.json"), text);
  return readPackageJsonOptions(directory);
}

test("no file and no key are no options", () => {
  expect(readPackageJsonOptions(join(directory, "missing"))).toBeUndefined();
  expect(read('{"name": "x"}')).toBeUndefined();
  expect(read("[]")).toBeUndefined();
});

test("the key is handed over as it is, also after a byte order mark", () => {
  expect(read('{"pglite-devdb": {"port": 1}}')).toEqual({ port: 1 });
  expect(read('\uFEFF{"pglite-devdb": 7}')).toBe(7);
});

test("broken JSON and an unreadable file are usage errors that name the file", () => {
  expect(() => read("{")).toThrow(UsageError);
  expect(() => read("{")).toThrow(join(directory, "package.json"));
  const other = join(directory, "other");
  mkdirSync(join(other, "package.json"), { recursive: true });
  expect(() => readPackageJsonOptions(other)).toThrow(/package\.json cannot be read \(EISDIR\)/);
});
