/**
 * What happens once before all tests and once after them.
 *
 * Owns: building dist/, because the tests of the command line start the program that is published, and a directory for
 * files that the processes of a run share. Does not own: what is in that directory. Invariant: it goes with the run.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { build } from "../../scripts/build.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** A directory for files that the processes of a run share. */
    runDirectory: string;
  }
}

export default async function setUp(project: TestProject): Promise<() => void> {
  await build();
  const directory = mkdtempSync(join(tmpdir(), "pglite-devdb-test-run-"));
  project.provide("runDirectory", directory);
  return () => rmSync(directory, { recursive: true, force: true });
}
