/**
 * jest's `globalSetup` and `globalTeardown`: the server of its run.
 *
 * Owns: which of the two this call is. Does not own: the options (`jest.ts`), the server (`run-server.ts`).
 * Invariant: jest calls the one module twice in its main process, before the tests and after them.
 */
import { optionsOf } from "./run-options.ts";
import { serveRun } from "./run-server.ts";

let end: (() => Promise<void>) | undefined;

/** What jest calls, first as its `globalSetup`, then as its `globalTeardown`. */
export default async function setUpOrTearDown({ rootDir }: { readonly rootDir: string }): Promise<void> {
  const running = end;
  end = undefined;
  if (running) await running();
  else ({ end } = await serveRun(rootDir, optionsOf()));
}
