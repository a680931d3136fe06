/**
 * A Node that is older than the one that the tests run on.
 *
 * Owns: finding it in the PATH, or else installing it. Does not own: what is tested with it. Where there is none, the tests that need
 * one say so.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { TestContext } from "vitest";
import { requirePackage } from "../clients/support/npm-packages.ts";

/** An executable and its version, for example `v22.23.3`. */
export interface OtherNode {
  readonly path: string;
  readonly version: string;
}

/** The oldest that this project supports. */
const oldest = [22, 12] as const;

/** The first Node in the PATH that this project supports and that cannot park WebAssembly stacks, or else one from npm. */
export function requireNodeWithoutParking(context: TestContext): OtherNode {
  const directories = (process.env.PATH ?? "").split(delimiter).map((directory) => join(directory, "node"));
  for (const path of new Set(directories)) {
    const found = existsSync(path) && describeNode(path);
    if (found) return found;
  }
  const path = join(requirePackage(context, "Node 22"), "bin/node");
  return describeNode(path) ?? context.skip(`${path} is no Node that cannot park WebAssembly stacks`);
}

function describeNode(path: string): OtherNode | undefined {
  const { stdout } = spawnSync(path, ["-p", `process.version + " " + ("Suspending" in WebAssembly)`], {
    encoding: "utf8",
    env: { PATH: process.env.PATH },
  });
  const [, version, major, minor, canPark] = /^(v(\d+)\.(\d+)\S*) (\w+)/.exec(stdout) ?? [];
  const isSupported = Number(major) > oldest[0] || (Number(major) === oldest[0] && Number(minor) >= oldest[1]);
  return version && isSupported && canPark === "false" ? { path, version } : undefined;
}
