/**
 * Runs initdb, in a thread that ends afterwards: it takes some seconds and half a gigabyte, if it can be in a process of its own
 * (`../system/separate.ts`).
 *
 * Owns: getting the files that initdb made out of PGlite. Does not own: what becomes of them (`new-cluster.ts`).
 * Invariant: PostgreSQL has never been started on these files: they are what initdb left.
 */
import { parentPort } from "node:worker_threads";
import { MemoryFS, PGlite } from "@electric-sql/pglite";
import { begins } from "../system/separate-beginning.ts";
import { type ClusterFile, packCluster } from "./cluster-archive.ts";
import { icuArchive } from "./icu-data.ts";

/** Thrown through PGlite when it would go on to start PostgreSQL. */
class Made extends Error {}

class NewFiles extends MemoryFS {
  archive = new Uint8Array(0);

  /** Engine: PGlite calls it once between the making of a new database, when no file is open, and its first start. */
  override async syncToFs(): Promise<void> {
    this.archive = packCluster(readCluster(this.pg!));
    throw new Made();
  }
}

parentPort!.postMessage(begins);
const files = new NewFiles();
// PostgreSQL's own tables for upper, lower and classes of characters; the order is that of code points, as with libc's C.UTF-8.
const locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"];
try {
  await PGlite.create({ fs: files, icuDataDir: new Blob([new Uint8Array(icuArchive())]), initDbStartParams: locale });
} catch (error) {
  if (!(error instanceof Made)) throw error;
}
parentPort!.postMessage(files.archive, [files.archive.buffer]);

function readCluster({ Module: { FS } }: PGlite) {
  const directories: string[] = [];
  const found: ClusterFile[] = [];
  const visit = (directory: string): void => {
    for (const entry of FS.readdir(`${PGlite.paths.PGDATA}/${directory}`)) {
      if (entry === "." || entry === "..") continue;
      const name = `${directory}${entry}`;
      const path = `${PGlite.paths.PGDATA}/${name}`;
      if (FS.isDir(FS.stat(path).mode)) {
        directories.push(name);
        visit(`${name}/`);
      } else {
        found.push({ name, size: FS.stat(path).size, read: () => FS.readFile(path) });
      }
    }
  };
  visit("");
  return { directories, files: found };
}
