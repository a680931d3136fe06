/**
 * vitest's `globalSetup`: the server of its run.
 *
 * Owns: handing the server's environment to vitest's workers. Does not own: the options (`vitest.ts`), the server (`run-server.ts`).
 */
import type { TestProject } from "vitest/node";
import { optionsOf } from "./run-options.ts";
import { serveRun } from "./run-server.ts";

/** What vitest calls; it calls the answer at the end. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { id } = project.getProvidedContext().pgliteDevDb;
  const { environment, end } = await serveRun(project.config.root, optionsOf(id));
  project.provide("pgliteDevDb", { id, environment });
  return end;
}
