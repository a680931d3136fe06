/** The command lines of all scripts: help, and what a bad option is told, before anything has been started. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

const scripts = ["bench", "conformance", "fuzz", "kill-nine", "memory", "start-stop", "stress"];
const bad: Record<string, [args: string[], message: string]> = {
  bench: [["--rounds", "none"], '--rounds "none": takes a whole number from 1 to 100'],
  conformance: [["--specs", "/nowhere"], "--specs /nowhere: takes a folder that has a folder specs"],
  fuzz: [["--target", "theirs"], '--target "theirs": takes ours or stock'],
  "kill-nine": [["--fsync", "maybe"], '--fsync "maybe": takes on or off'],
  memory: [["--sessions", "both"], '--sessions "both": takes shared or isolated'],
  "start-stop": [["--rounds", "0"], '--rounds "0": takes a whole number from 1 to 100000'],
  stress: [["--clients", "-1"], "Option '--clients' argument is ambiguous"],
};

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(script: string, ...args: string[]): Promise<Outcome> {
  const file = join(import.meta.dirname, "../../../scripts", `${script}.ts`);
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [file, ...args], (_, stdout, stderr) => {
      resolve({ code: child.exitCode ?? -1, stdout, stderr });
    });
  });
}

test.each(scripts)("%s", async (script) => {
  const [args, message] = bad[script]!;
  const [help, unknown, wrong] = await Promise.all([
    run(script, "--help"),
    run(script, "--nonsense"),
    run(script, ...args),
  ]);
  expect(help).toMatchObject({ code: 0, stderr: "", stdout: expect.stringMatching(/^npm run \S+ -- /) });
  expect(unknown).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("'--nonsense'") });
  expect(unknown.stderr).toContain(help.stdout.trim());
  expect(wrong).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining(message) });
  for (const { stderr } of [unknown, wrong]) expect(stderr).not.toMatch(/^\s+at /m);
});
