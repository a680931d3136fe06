/**
 * A new, empty database cluster, as initdb makes it, without initdb: that is run once for each PGlite.
 *
 * Owns: the template in the user's cache, whose copies all new clusters are. Does not own: its form (`cluster-archive.ts`),
 * its making (`initdb-thread.ts`), where a cluster is put. Invariant: every cluster has an identifier of its own; a
 * template that is missing, damaged or of another PGlite costs only the time of initdb.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { type Cluster, openCluster, unpackCluster } from "./cluster-archive.ts";
import { withNewIdentity } from "./cluster-identity.ts";
import { fingerprint } from "./pglite-files.ts";
import { cacheDirectory, keepInCache } from "./user-cache.ts";

/** Part of the file's name: to be raised with every change of what initdb is told, or of the form. */
const templateVersion = 1;

/** What initdb's result depends on: its code, PostgreSQL's, and the SQL and samples that it reads. */
const sources = ["initdb.wasm", "pglite.wasm", "pglite.data"];

// From sources this module is TypeScript, which Node runs as it is; the bundle has the thread in a file of its own.
const threadUrl = new URL(
  import.meta.url.endsWith(".ts") ? "./initdb-thread.ts" : "./initdb-thread.js",
  import.meta.url,
);

/** A new cluster, to be closed. Rejects with what kept initdb from making one. `directory` is for tests. */
export async function newCluster(directory: string | undefined = cacheDirectory()): Promise<Cluster> {
  const path = directory && join(directory, `cluster-${templateVersion}-${fingerprint(...sources)}`);
  return withNewIdentity((path && openCached(path)) || (await make(path)));
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

async function make(path: string | undefined): Promise<Cluster> {
  const archive = await runInitdb();
  if (path) keepInCache(path, archive);
  return unpackCluster(archive);
}

async function runInitdb(): Promise<Uint8Array> {
  const worker = new Worker(threadUrl, { name: "pglite-devdb initdb" });
  try {
    return await new Promise<Uint8Array>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
      worker.once("exit", (code) => reject(new Error(`the thread of initdb ended with code ${code}`)));
    });
  } finally {
    await worker.terminate();
  }
}
