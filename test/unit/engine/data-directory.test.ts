/**
 * Which paths are accepted as a data directory, and that nothing is written into one that is not.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { describeOpenFailure, prepareDataDirectory } from "../../../src/engine/data-directory.ts";
import { DataDirectoryError } from "../../../src/errors.ts";

const root = mkdtempSync(join(tmpdir(), "data-directory-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

function directory(name: string, files: Record<string, string> = {}): string {
  const path = join(root, name);
  mkdirSync(path);
  for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
  return path;
}

function refusal(path: string): string {
  try {
    prepareDataDirectory(path);
  } catch (error) {
    expect(error).toBeInstanceOf(DataDirectoryError);
    expect((error as DataDirectoryError).exitCode).toBe(5);
    expect((error as Error).message).toContain(path);
    return (error as Error).message;
  }
  throw new Error(`accepted: ${path}`);
}

test("a missing directory is made, with its parents, for its owner only", () => {
  const path = join(root, "a/b/c");
  prepareDataDirectory(path);
  expect(statSync(path).isDirectory()).toBe(true);
  if (process.platform !== "win32") expect(statSync(path).mode & 0o777).toBe(0o700);
});

test("an empty directory and one of this major version are accepted", () => {
  prepareDataDirectory(directory("empty"));
  prepareDataDirectory(directory("eighteen", { PG_VERSION: "18\n" }));
});

test("a file, and a path through a file, are refused as such", () => {
  writeFileSync(join(root, "file"), "x");
  expect(refusal(join(root, "file"))).toContain("is a file");
  expect(refusal(join(root, "file/below"))).toContain("is a file");
});

test("a directory with other files is refused by naming some, and left as it was", () => {
  const path = directory("project", { "package.json": "{}", "a.txt": "" });
  expect(refusal(path)).toContain("it holds other files (a.txt, package.json)");
  expect(readdirSync(path)).toEqual(["a.txt", "package.json"]);
});

test("another major version is refused by naming both", () => {
  expect(refusal(directory("sixteen", { PG_VERSION: "16\n" }))).toMatch(/"16".*PostgreSQL 18/);
});

test("an engine that cannot open it leads to a sentence, also for an error without a message", () => {
  expect(describeOpenFailure("/d", { name: "ErrnoError", errno: 44 }).message).toContain("file system error 44");
  expect(describeOpenFailure("/d", new Error("boom")).message).toContain(
    "/d cannot be opened as a data directory (boom)",
  );
});
