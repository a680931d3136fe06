/**
 * What happens once before all tests and once after them.
 *
 * Owns: building dist/, because the tests of the command line start the program that is published, and a directory for
 * files that the processes of a run share. Does not own: what is in that directory. Invariant: it goes with the run.
 */
import { accessSync, constants, mkdtempSync, rmSync, statfsSync } from "node:fs";
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

/** Where Linux keeps files in memory; a run needs some 2 GB of it at most. */
const memory = { directory: "/dev/shm", bytes: 4 * 2 ** 30 };

export default async function setUp(project: TestProject): Promise<() => void> {
  // Before any process of the run begins, and they have it from this one: a fifth of what the kernel does for the tests is making files on a disk.
  if (process.env.TMPDIR === undefined && isRoomy()) process.env.TMPDIR = memory.directory;
  await build();
  const directory = mkdtempSync(join(tmpdir(), "pglite-devdb-test-run-"));
  project.provide("runDirectory", directory);
  return () => rmSync(directory, { recursive: true, force: true });
}

function isRoomy(): boolean {
  try {
    accessSync(memory.directory, constants.R_OK | constants.W_OK | constants.X_OK);
    const { bavail, bsize } = statfsSync(memory.directory);
    return bavail * bsize >= memory.bytes;
  } catch {
    return false;
  }
}
