/**
 * A Node that is older than the one that the tests run on.
 *
 * Owns: finding it in the PATH. Does not own: what is tested with it. Where there is none, the tests that need one say so.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** An executable and its version, for example `v20.20.2`. */
export interface OtherNode {
  readonly path: string;
  readonly version: string;
}

/** The first Node in the PATH that this project supports and that cannot park WebAssembly stacks. */
export function findNodeWithoutParking(): OtherNode | undefined {
  const candidates = (process.env.PATH ?? "").split(delimiter).map((directory) => join(directory, "node"));
  for (const path of new Set(candidates)) {
    if (!existsSync(path)) continue;
    const { stdout } = spawnSync(path, ["-p", `process.version + " " + ("Suspending" in WebAssembly)`], {
      encoding: "utf8",
      env: { PATH: process.env.PATH },
    });
    const [, version, major, minor, canPark] = /^(v(\d+)\.(\d+)\S*) (\w+)/.exec(stdout) ?? [];
    const isSupported = Number(major) > 20 || (Number(major) === 20 && Number(minor) >= 19);
    if (version && isSupported && canPark === "false") return { path, version };
  }
  return undefined;
}
