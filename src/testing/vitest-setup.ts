/**
 * The server of a run of vitest: its `globalSetup`.
 *
 * Owns: starting it before the first test, and its end. Does not own: the options (`vitest.ts`).
 * Invariant: nobody is connected to the migrated database, so that it can be copied at any time.
 */
import type { TestProject } from "vitest/node";
import { startDevDb } from "../index.ts";
import { optionsOf } from "./vitest-options.ts";

/** Tests have copies of this database. */
const template = "test";

/** What vitest calls; it calls the answer at the end. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { id } = project.getProvidedContext().pgliteDevDb;
  const db = await startDevDb({ port: 0, cwd: project.config.root, database: template, ...optionsOf(id) });
  project.provide("pgliteDevDb", { id, url: db.url });
  return () => db.close();
}
