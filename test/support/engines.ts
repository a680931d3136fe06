/**
 * Engines for tests that need several, or one that a failure may ruin.
 *
 * Owns: booting them, the first one of a run from scratch and the others from a copy of it, and closing them.
 * Does not own: the servers in front of them. Invariant: every engine starts as a freshly created one does.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import { inject } from "vitest";
import { within } from "./wait-until.ts";

let template: Promise<File> | undefined;

/** Boots an engine of its own for the caller, who closes it. */
export async function createEngine(): Promise<PGlite> {
  template ??= readTemplate();
  if (template) return PGlite.create({ loadDataDir: await template });
  const engine = await PGlite.create();
  template = writeTemplate(engine);
  await template;
  return engine;
}

/** Closes an engine; one that cannot be closed any more is left behind after `limitMs`. */
export async function closeEngine(engine: PGlite, limitMs = 2000): Promise<void> {
  await within(limitMs, engine.close());
}

/** Absent where the tests run without the directory of `global-setup.ts`. */
function templatePath(): string | undefined {
  const directory: string | undefined = inject("runDirectory");
  return directory === undefined ? undefined : join(directory, "engine-template.tar");
}

function readTemplate(): Promise<File> | undefined {
  const path = templatePath();
  return path !== undefined && existsSync(path) ? Promise.resolve(asFile(readFileSync(path))) : undefined;
}

async function writeTemplate(engine: PGlite): Promise<File> {
  const dump = await engine.dumpDataDir("none");
  const bytes = Buffer.from(await dump.arrayBuffer());
  const path = templatePath();
  if (path !== undefined) {
    // Another process may read it or write it at any time.
    const unfinished = `${path}.${process.pid}`;
    writeFileSync(unfinished, bytes);
    renameSync(unfinished, path);
  }
  return asFile(bytes);
}

function asFile(tar: Buffer): File {
  return new File([new Uint8Array(tar)], "engine-template.tar", { type: "application/x-tar" });
}
