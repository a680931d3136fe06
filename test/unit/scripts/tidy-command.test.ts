import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ignoredNames, readTree } from "../../../scripts/tidy/read-tree.ts";
import { header } from "../../support/tidy-findings.ts";

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tidy-"));
});

afterEach(() => rm(root, { recursive: true }));

async function write(path: string, content: string | Buffer): Promise<void> {
  await mkdir(join(root, dirname(path)), { recursive: true });
  await writeFile(join(root, path), content);
}

function runTidy(): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  const script = fileURLToPath(new URL("../../../scripts/tidy.ts", import.meta.url));
  return new Promise((resolve) => {
    execFile(process.execPath, [script, root], (error, stdout, stderr) => {
      resolve({ exitCode: error ? Number(error.code) : 0, stdout, stderr });
    });
  });
}

describe("the command", () => {
  test("prints one line with the sizes of a tidy tree and exits 0", async () => {
    await write("src/cli/main.ts", `${header}process.exitCode = 0;\n`);
    expect(await runTidy()).toEqual({
      exitCode: 0,
      stdout: "tidy: 1 files, median 6 lines, longest 6 (src/cli/main.ts)\n",
      stderr: "",
    });
  });

  test("prints each finding and exits 1", async () => {
    await write("src/cli/main.ts", `${header}export const a = 1;\n`);
    await write("src/wire/a.ts", 'import "../cli/main.ts";\n');
    const { exitCode, stdout, stderr } = await runTidy();
    expect(exitCode).toBe(1);
    expect(stdout.split("\n").map((line) => line.split("  ").slice(0, 2))).toEqual([
      ["src/cli/main.ts:6", "docstring"],
      ["src/wire/a.ts:1", "header"],
      ["src/wire/a.ts:1", "rank"],
      [""],
    ]);
    expect(stderr).toBe("tidy: 3 findings in 2 files\n");
  });
});

describe("the tree that is checked", () => {
  test("is every text below the root that .gitignore does not name", async () => {
    await write(".gitignore", "node_modules/\n# Build\n*.log\n\ndist\n");
    await write("src/a.ts", "a");
    await write("notes.md", "b");
    await write(".ci/run", "c");
    for (const path of [".git/HEAD", "node_modules/a.ts", "src/node_modules/b.ts", "dist/a.js", "src/a.log"]) {
      await write(path, "ignored");
    }
    await write("image.png", Buffer.from([137, 80, 0, 1]));
    expect([...readTree(root)].sort()).toEqual([
      [".ci/run", "c"],
      [".gitignore", "node_modules/\n# Build\n*.log\n\ndist\n"],
      ["notes.md", "b"],
      ["src/a.ts", "a"],
    ]);
  });

  test("needs no .gitignore", async () => {
    await write("src/a.ts", "a");
    expect([...readTree(root).keys()]).toEqual(["src/a.ts"]);
  });

  test.each(["!keep", "/dist", "src/*.js", "a**"])(
    "refuses the .gitignore pattern %s, which it does not know",
    (pattern) => {
      expect(() => ignoredNames(pattern)).toThrow(`no such .gitignore pattern: ${pattern}`);
    },
  );
});
