/**
 * Data directories that are initialised already, for tests that start many servers and are not about the first start.
 *
 * Owns: one template per test file and its copies. Does not own: what the tests do with them.
 * Invariant: every copy goes with the test that asked for it, and the template with the process.
 */
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import { onTestFinished } from "vitest";

let template: string | undefined;

/** Makes the template; to be called in `beforeAll`. */
export async function initializeTemplate(): Promise<() => void> {
  const directory = mkdtempSync(join(tmpdir(), "pglite-devdb-template-"));
  await (await PGlite.create(join(directory, "data"))).close();
  template = directory;
  return () => rmSync(directory, { recursive: true, force: true });
}

/** A copy of the template, for one server at a time; the path of the data directory. */
export function initializedDirectory(): string {
  if (template === undefined) throw new Error("initializeTemplate was not called");
  const directory = mkdtempSync(join(tmpdir(), "pglite-devdb-data-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }));
  cpSync(join(template, "data"), join(directory, "data"), { recursive: true });
  return join(directory, "data");
}
