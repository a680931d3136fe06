/**
 * Data directories that are initialised already, for tests that start many servers and are not about the first start.
 *
 * Owns: one template for all test files of a run and its copies. Does not own: what the tests do with them.
 * Invariant: every copy goes with the test that asked for it, and the template with the run; a template is whole.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inject, onTestFinished } from "vitest";
import { newCluster, writeCluster } from "../../src/cluster/new-cluster.ts";

/** Makes the template, unless another file has; to be called in `beforeAll`. */
export async function initializeTemplate(): Promise<void> {
  if (existsSync(template())) return;
  const unfinished = `${template()}.${process.pid}`;
  mkdirSync(unfinished, { mode: 0o700 });
  const cluster = await newCluster();
  writeCluster(cluster, unfinished);
  cluster.close();
  try {
    renameSync(unfinished, template());
  } catch (error) {
    // Another process was faster; its template is as good.
    if (!existsSync(template())) throw error;
    rmSync(unfinished, { recursive: true });
  }
}

/** A copy of the template, for one server at a time; the path of the data directory. */
export function initializedDirectory(): string {
  if (!existsSync(template())) throw new Error("initializeTemplate was not called");
  const directory = mkdtempSync(join(tmpdir(), "pglite-devdb-data-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }));
  cpSync(template(), join(directory, "data"), { recursive: true });
  return join(directory, "data");
}

function template(): string {
  return join(inject("runDirectory"), "data-directory-template");
}
