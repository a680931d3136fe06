/** `ulimit -v`: a server that cannot have its address space says so in one sentence, without V8's stack trace. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../support/cli-process.ts";

const cli = join(import.meta.dirname, "../../dist/cli.js");
const isLinux = process.platform === "linux";

test.skipIf(!isLinux).for([
  ["run --port 0 --migrations none -- true", 5_000_000, 2],
  ["doctor --port 0", 5_000_000, 1],
  ["run --port 0 --migrations none -- true", 20_000_000, 2],
] as const)("%s with ulimit -v %i ends with %i", ([args, kilobytes, code]) => {
  const command = `ulimit -v ${kilobytes}; exec "${process.execPath}" "${cli}" ${args}`;
  const ended = spawnSync("bash", ["-c", command], { cwd: temporaryDirectory(), encoding: "utf8" });
  const said = `${ended.stdout}${ended.stderr}`;
  // Some versions of Node take 20 GB for enough.
  if (kilobytes > 10_000_000 && ended.status === 0) return;
  expect([ended.status, said]).toEqual([code, expect.stringMatching(/not enough address space.*\(ulimit -v\)/)]);
  expect(said).not.toMatch(/^ +at |Native stack/m);
});
