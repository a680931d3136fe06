/**
 * Programs from npm that tests use as their users do, and that are no dependencies of this package.
 *
 * Owns: which versions, and their installation, once for all runs, in a folder of node_modules/. Does not own: what is done with them.
 * Invariant: a folder with a package's name and version is complete; what cannot be installed is a skipped test, in CI a failed one.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TestContext } from "vitest";
import { inCi } from "./installed.ts";

const machine = `${process.platform}-${process.arch}`;

/** By what a test calls it: the package and its version, and what it wants beside it. Node and Bun are in packages of their own for each kind of machine. */
const packages = {
  jest: "jest@30.5.2",
  "@playwright/test": "@playwright/test@1.65.1",
  "vitest 3.2": "vitest@3.2.0",
  pnpm: "pnpm@12.21.0",
  Yarn: "@yarnpkg/cli-dist@4.18.1",
  Bun: `@oven/bun-${machine.replace("arm64", "aarch64")}@1.4.5`,
  "Bun 1.3": `@oven/bun-${machine.replace("arm64", "aarch64")}@1.3.4`,
  "Node 22": `node-${machine}@22.23.3`,
  "Node 24": `node-${machine}@24.21.0`,
  "Node 26": `node-${machine}@26.9.0`,
  knex: "knex@3.3.0 pg@8.23.1",
  typeorm: "typeorm@1.1.1 pg@8.23.1",
  publint: "publint@0.3.25",
  attw: "@arethetypeswrong/cli@0.18.5",
} as const;

/** A package that a test may ask for. */
export type NpmPackage = keyof typeof packages;

const store = fileURLToPath(new URL("../../../node_modules/.cache/pglite-devdb-tests", import.meta.url));

/** The directory of the package, beside which is what it depends on. */
export function requirePackage(context: TestContext, name: NpmPackage): string {
  const installed = packages[name];
  const folder = join(store, installed.replaceAll(/[/ ]/g, "+"));
  if (!existsSync(folder)) {
    const problem = install(installed, folder);
    if (problem !== undefined) {
      const reason = `${installed} could not be installed: ${problem}`;
      if (inCi()) throw new Error(reason);
      context.skip(reason);
    }
  }
  return join(folder, "node_modules", installed.replace(/(?<=.)@.*$/, ""));
}

/** Returns why there is none. Several processes may do this at once. */
function install(what: string, folder: string): string | undefined {
  mkdirSync(store, { recursive: true });
  const own = mkdtempSync(join(store, "new-"));
  try {
    writeFileSync(join(own, "package.json"), "{}");
    const npm = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", ...what.split(" ")];
    const { status, stderr, error } = spawnSync("npm", npm, { cwd: own, encoding: "utf8" });
    if (status !== 0) return error?.message ?? stderr.trim().split("\n")[0] ?? `npm ended with ${status}`;
    renameSync(own, folder);
    return undefined;
  } catch (error) {
    // Another process was first.
    if (existsSync(folder)) return undefined;
    throw error;
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
}
