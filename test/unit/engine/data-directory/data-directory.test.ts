/**
 * Which paths are accepted as a data directory, and that nothing is written into one that is not.
 */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { describeOpenFailure, prepareDataDirectory } from "../../../../src/engine/data-directory/data-directory.ts";
import { DataDirectoryError } from "../../../../src/errors.ts";

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
  expect(refusal(path)).toContain("(a.txt, package.json)");
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

test("PostgreSQL's words are shown, with the path as people know it, and deleting is not advised", () => {
  const path = directory("words", { PG_VERSION: "18\n" });
  mkdirSync(join(path, "base", "5"), { recursive: true });
  writeFileSync(join(path, "base", "5", "1259"), "x");
  const words = 'LOG:  syntax error in file "/pglite/data/postgresql.conf" line 3\nFATAL:  it contains errors';
  const { message } = describeOpenFailure(path, Object.assign(new Error("status 1"), { words }));
  expect(message).toBe(
    `PostgreSQL does not start in ${path}:\n  LOG:  syntax error in file "${path}/postgresql.conf" line 3\n  FATAL:  it contains errors`,
  );
});

test("deleting is advised where initdb was interrupted before anything could be in it", () => {
  const path = directory("unfinished", { PG_VERSION: "18\n", "postgresql.conf": "" });
  mkdirSync(join(path, "base", "1"), { recursive: true });
  expect(describeOpenFailure(path, new Error("boom")).message).toMatch(/first start was interrupted.*delete it$/);
  writeFileSync(join(path, "base", "1", "1259"), "x");
  expect(describeOpenFailure(path, new Error("boom")).message).not.toContain("delete");
});

describe.runIf(process.platform !== "win32")("permissions", () => {
  function withMode(name: string, mode: number, files: Record<string, string>): string {
    const path = directory(name, files);
    chmodSync(path, mode);
    return path;
  }
  const modeOf = (path: string) => statSync(path).mode & 0o777;

  test.each([0o777, 0o775, 0o757])(
    "a data directory that others may write to (%o) is refused as by PostgreSQL",
    (mode) => {
      const path = withMode(`open-${mode}`, mode, { PG_VERSION: "18\n" });
      const message = refusal(path);
      expect(message).toContain(`data directory "${path}" has invalid permissions`);
      expect(message).toMatch(/DETAIL: .*\(0700\).*\(0750\)/);
      expect(modeOf(path)).toBe(mode);
    },
  );

  test("one that others may only read, as PGlite makes it, is made private, and the log says so", () => {
    const path = withMode("readable", 0o755, { PG_VERSION: "18\n" });
    const log: string[] = [];
    prepareDataDirectory(path, (_, line) => log.push(line));
    expect(modeOf(path)).toBe(0o700);
    expect(log).toEqual([expect.stringMatching(/\b0755\b.*\b0700\b/)]);
    expect(log[0]).toContain(path);
  });

  test("0750 stays; an empty directory gets 0700, as by initdb", () => {
    const group = withMode("group", 0o750, { PG_VERSION: "18\n" });
    prepareDataDirectory(group);
    expect(modeOf(group)).toBe(0o750);
    const empty = withMode("empty-open", 0o777, {});
    prepareDataDirectory(empty);
    expect(modeOf(empty)).toBe(0o700);
  });
});
