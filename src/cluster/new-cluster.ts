/**
 * A new, empty database cluster, as initdb makes it, without initdb: that is run once for each PGlite.
 *
 * Owns: the template in the user's cache, whose copies all new clusters are. Does not own: its form (`cluster-archive.ts`),
 * its making (`initdb-thread.ts`), where a cluster is put. Invariant: every cluster has an identifier of its own; a
 * template that is missing, damaged or of another PGlite costs only the time of initdb.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { madeOnce } from "../system/made-once.ts";
import { abandoned, runSeparately, sibling } from "../system/separate.ts";
import { cacheDirectory, keepInCache } from "../system/user-cache.ts";
import { type Cluster, openCluster, unpackCluster } from "./cluster-archive.ts";
import { withNewIdentity } from "./cluster-identity.ts";
import { fingerprint } from "./pglite-files.ts";

/** Part of the file's name: to be raised with every change of what initdb is told, or of the form. */
const templateVersion = 2;

/** What initdb's result depends on: its code, PostgreSQL's, and the SQL and samples that it reads. */
const sources = ["initdb.wasm", "pglite.wasm", "pglite.data"];

/** A new cluster, to be closed. Rejects with what kept initdb from making one. `directory` is for tests. */
export async function newCluster(directory: string | undefined = cacheDirectory()): Promise<Cluster> {
  const path = pathIn(directory);
  const beganEarly = early;
  early = undefined;
  return withNewIdentity(await (beganEarly ?? findOrMake(path)));
}

let early: Promise<Cluster> | undefined;

/** Begins with what the next `newCluster` will have to wait for, if it will: initdb takes a core of its own. */
export function beginNewCluster(): void {
  const path = pathIn(cacheDirectory());
  if (early || (path && existsSync(path))) return;
  early = findOrMake(path);
  // Whoever waits for it is told.
  early.catch(() => {});
}

function pathIn(directory: string | undefined): string | undefined {
  return directory && join(directory, `cluster-${templateVersion}-${fingerprint(...sources)}`);
}

/** Writes a cluster into an empty directory, for its owner only. */
export function writeCluster({ directories, files }: Cluster, path: string): void {
  for (const name of directories) mkdirSync(join(path, name), { mode: 0o700 });
  for (const file of files) {
    // Zeros are written, too: PostgreSQL relies on the space of a WAL segment being there.
    writeFileSync(join(path, file.name), Buffer.concat([file.read()], file.size), { mode: 0o600 });
  }
}

function openCached(path: string): Cluster | undefined {
  try {
    return openCluster(path);
  } catch {
    return undefined;
  }
}

/** Engine: V8 would spend more on optimizing than initdb takes, which runs once: half the memory and a third of the work less. */
const flags = ["--liftoff-only"];

function findOrMake(path: string | undefined): Promise<Cluster> {
  if (path === undefined) return make(path);
  return madeOnce(
    path,
    () => openCached(path),
    () => make(path),
    abandoned,
  );
}

async function make(path: string | undefined): Promise<Cluster> {
  const archive = await runSeparately<Uint8Array>({
    name: "initdb",
    url: sibling("initdb-thread", import.meta.url),
    flags,
  });
  const cluster = path && keepInCache(path, archive) ? openCached(path) : undefined;
  // Read from the file what is needed of it takes no memory.
  return cluster ?? unpackCluster(archive);
}
