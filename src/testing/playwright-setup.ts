/**
 * Playwright's `globalSetup`: the server of its run.
 *
 * Owns: what Playwright calls. Does not own: the options (`playwright.ts`), the server (`run-server.ts`).
 */
import { dirname } from "node:path";
import { optionsOf } from "./run-options.ts";
import { serveRun } from "./run-server.ts";

/** What is used of Playwright's configuration. */
interface FullConfig {
  readonly configFile?: string;
  readonly rootDir: string;
}

/** What Playwright calls; it calls the answer at the end. */
export default async function setup({ configFile, rootDir }: FullConfig): Promise<() => Promise<void>> {
  return (await serveRun(configFile === undefined ? rootDir : dirname(configFile), optionsOf())).end;
}
