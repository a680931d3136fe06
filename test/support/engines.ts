/**
 * Engines for tests that need several, or one that a failure may ruin.
 *
 * Owns: booting them, the first one of a run on the cluster that is kept and the others from a copy of it, and closing them.
 * Does not own: the servers in front of them. Invariant: every engine starts as a freshly created one does, with what
 * initdb made.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import { inject } from "vitest";
import { pgliteFile } from "../../src/cluster/pglite-files.ts";
import { openBarePglite } from "../../src/engine/bare-pglite.ts";
import { webAssembly } from "../../src/sessions/wasm/web-assembly.ts";
import { within } from "./wait-until.ts";

/** PGlite's module, which a process compiles once: it is half of a boot. */
let compiled: ReturnType<typeof webAssembly.compile> | undefined;

/** Boots an engine of its own for the caller, who closes it. */
export async function createEngine(): Promise<PGlite> {
  if (!String(webAssembly.compile).includes("[native code]"))
    throw new Error("a test of this process has the engine's PostgreSQL in it: see ownProcess in vitest.config.ts");
  const template = readFileSync(await engineTemplate());
  const loadDataDir = new File([template], "engine-template.tar", { type: "application/x-tar" });
  compiled ??= webAssembly.compile(readFileSync(pgliteFile("pglite.wasm")));
  return PGlite.create({ loadDataDir, pgliteWasmModule: (await compiled) as WebAssembly.Module });
}

/** The file of an empty database cluster, made by the first of the run's processes that asks for it. */
export async function engineTemplate(): Promise<string> {
  const path = join(inject("runDirectory"), "engine-template.tar");
  if (existsSync(path)) return path;
  // Not `configured` for memory, and so as PGlite's own initdb leaves it, which takes several times as long as all of this.
  const engine = await openBarePglite();
  const dump = await engine.dumpDataDir("none");
  await engine.close();
  // Another process may read it or write it at any time.
  const unfinished = `${path}.${process.pid}`;
  writeFileSync(unfinished, Buffer.from(await dump.arrayBuffer()));
  renameSync(unfinished, path);
  return path;
}

/** Closes an engine; one that cannot be closed any more is left behind after `limitMs`. */
export async function closeEngine(engine: PGlite, limitMs = 2000): Promise<void> {
  await within(limitMs, engine.close());
}
