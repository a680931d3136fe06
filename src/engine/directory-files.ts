/**
 * The files of a durable database as PGlite sees them: a directory of the system.
 *
 * Owns: what is added to PGlite's own file system: a first start that is atomic, a rename that is, an fsync that reaches
 * the disk, and starting after a kill in a start. Does not own: the steps of a first start (`initialization.ts`), what a
 * new database is (`thread/new-cluster.ts`), or who may open the directory (`directory-lock.ts`).
 * Invariant: PostgreSQL's file system calls go to the system one by one, in order; nothing is kept back.
 *
 * Engine: PGlite starts PostgreSQL with fsync off, and a fsync of its file system does nothing: `fd_sync` asks the
 * file system's `stream_ops.fsync`, which is not there; `fdatasync` returns 0 without asking anybody
 * (test/faults/directory-files.test.ts).
 */
import { fsyncSync, renameSync, statSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { PGlite, type PGliteOptions } from "@electric-sql/pglite";
import { NodeFS } from "@electric-sql/pglite/nodefs";
import { beginInitialization, finishInitialization } from "./initialization.ts";
import { syncTree } from "./sync-tree.ts";
import { newCluster, writeCluster } from "./thread/new-cluster.ts";

/** What `openDirectoryFiles` takes. */
interface DirectoryFilesOptions {
  /** An existing data directory or an empty one; the caller has its lock. */
  path: string;
  /** Whether a COMMIT is answered only after its data has reached the disk. */
  fsync: boolean;
}

/**
 * The part of the options of `PGlite.create` by which it uses a directory; to be given instead of `dataDir`. An empty
 * directory gets a new database before this resolves.
 */
export async function openDirectoryFiles(
  options: DirectoryFilesOptions,
): Promise<Required<Pick<PGliteOptions, "fs" | "startParams">>> {
  const { path, fsync } = options;
  const initialization = beginInitialization(path);
  if (initialization) {
    const cluster = await newCluster();
    writeCluster(cluster, initialization);
    cluster.close();
    await finishInitialization(path, fsync);
  } else {
    removeEmptyPidFile(path);
    // The last server here may have had fsync off; PostgreSQL takes what it finds for safe (initdb --sync-only).
    if (fsync) await syncTree(path);
  }
  const fs = new DirectoryFiles(path, fsync);
  if (!fsync) return { fs, startParams: PGlite.defaultStartParams };
  // -F is "fsync off". Of the ways to sync the WAL only fsync() gets as far as the file system.
  const parameters = PGlite.defaultStartParams.filter((parameter) => parameter !== "-F");
  return { fs, startParams: [...parameters, "-c", "wal_sync_method=fsync"] };
}

type ModuleOptions = Parameters<NodeFS["init"]>[1];

/** The parts of Emscripten's file system that PGlite's types leave out. */
interface SystemDirectory {
  node_ops: { rename: (node: SystemNode, directory: SystemNode, name: string) => void };
  stream_ops: { fsync?: (stream: { nfd: number }) => number };
  /** Turns an error of the system into an error number for PostgreSQL. */
  tryFSOperation(run: () => void): void;
  realPath(node: SystemNode): string;
}
interface SystemNode {
  name: string;
}

class DirectoryFiles extends NodeFS {
  readonly #fsync: boolean;

  constructor(path: string, fsync: boolean) {
    super(path);
    this.#fsync = fsync;
  }

  override async init(pg: PGlite, options: ModuleOptions) {
    const { emscriptenOpts } = await super.init(pg, options);
    const preRun = [...(emscriptenOpts.preRun ?? []), renameInOneStep];
    if (this.#fsync) preRun.push(reachTheDisk);
    return { emscriptenOpts: { ...emscriptenOpts, preRun } };
  }
}

// PostgreSQL does not start beside a postmaster.pid that is empty: somebody else might be about to write it. A kill between
// its creation and that leaves one, and here nobody else is, because the caller has the lock.
function removeEmptyPidFile(path: string): void {
  const file = join(path, "postmaster.pid");
  if (statSync(file, { throwIfNoEntry: false })?.size === 0) unlinkSync(file);
}

// Engine: NODEFS removes the target before it renames, by its path in the system; in a directory that has the same path
// there as here, /pglite/data, a kill between the two would lose a file that PostgreSQL replaces.
function renameInOneStep(module: unknown): void {
  const files = systemDirectory(module);
  files.node_ops.rename = (node, directory, name) => {
    files.tryFSOperation(() => renameSync(files.realPath(node), join(files.realPath(directory), name)));
    node.name = name;
  };
}

function reachTheDisk(module: unknown): void {
  const files = systemDirectory(module);
  files.stream_ops.fsync = ({ nfd }) => {
    files.tryFSOperation(() => fsyncSync(nfd));
    return 0;
  };
}

function systemDirectory(module: unknown): SystemDirectory {
  return (module as { FS: { filesystems: { NODEFS: SystemDirectory } } }).FS.filesystems.NODEFS;
}
