/**
 * The files of a durable database as PGlite sees them: a directory of the system.
 *
 * Owns: what is added to PGlite's own file system: a first start that is atomic, a rename that is, an fsync that reaches
 * the disk, links that are followed, files for their owner only, starting after a kill in a start, and that nothing is
 * changed in a directory that is not ours any more. Does not own: the steps of a first start (`initialization.ts`), what a new database is
 * (`../../cluster/new-cluster.ts`), who may open the directory (`directory-lock.ts`), whose it is (`directory-ownership.ts`).
 * Invariant: PostgreSQL's file system calls go to the system one by one, in order; nothing is kept back.
 *
 * Engine: PGlite starts PostgreSQL with fsync off, and a fsync of its file system does nothing: `fd_sync` asks the
 * file system's `stream_ops.fsync`, which is not there; `fdatasync` returns 0 without asking anybody
 * (test/faults/directory-files.test.ts).
 */
import { existsSync, fsyncSync, readdirSync, realpathSync, renameSync, statSync, unlinkSync } from "node:fs";
import { basename, dirname, join, posix } from "node:path";
import { PGlite, type PGliteOptions } from "@electric-sql/pglite";
import { NodeFS } from "@electric-sql/pglite/nodefs";
import type { Copying } from "../../cluster/copying.ts";
import { fileSystemOf } from "../../cluster/file-systems.ts";
import { newCluster, writeCluster } from "../../cluster/new-cluster.ts";
import { DataDirectoryError } from "../../errors.ts";
import { refuseTablespacesInMemory } from "../../sessions/tablespaces.ts";
import { copyFiles } from "./copy-files.ts";
import { type DirectoryIdentity, ownershipGuard } from "./directory-ownership.ts";
import { beginInitialization, finishInitialization } from "./initialization.ts";
import { syncTree } from "./sync-tree.ts";
import { removeFutureTwoPhaseFiles } from "./two-phase-files.ts";

/**
 * How long writes to open files may go on before it is looked again whose the directory is, in ms: less than a server that
 * takes it over needs from its lock to its first look at the files.
 */
const writeCheckMs = 100;

/** What `openDirectoryFiles` takes. */
interface DirectoryFilesOptions {
  /** An existing data directory or an empty one; the caller has its lock. */
  path: string;
  /** What was locked. Without it nobody looks whether the directory is still the same; for tests of the engine alone. */
  identity?: DirectoryIdentity | undefined;
  /** Whether an empty directory gets a new database; by default it does. */
  mayInitialize?: boolean;
  /** Whether a COMMIT is answered only after its data has reached the disk. */
  fsync: boolean;
}

/**
 * The part of the options of `PGlite.create` by which it uses a directory; to be given instead of `dataDir`. An empty
 * directory gets a new database before this resolves, or a `DataDirectoryError` where that must not be.
 */
export async function openDirectoryFiles(
  options: DirectoryFilesOptions,
): Promise<Pick<Required<PGliteOptions>, "startParams"> & { readonly fs: DirectoryFiles }> {
  const { path, identity, fsync, mayInitialize = true } = options;
  const place = identity?.place ?? path;
  identity && ownershipGuard(identity)(0);
  if (!mayInitialize) requireDatabase(path, place);
  const initialization = beginInitialization(place);
  if (initialization) {
    const cluster = await newCluster();
    writeCluster(cluster, initialization);
    cluster.close();
    await finishInitialization(place, fsync);
  } else {
    removeEmptyPidFile(place);
    removeFutureTwoPhaseFiles(place);
    // The last server here may have had fsync off; PostgreSQL takes what it finds for safe (initdb --sync-only).
    if (fsync) await syncTree(place);
  }
  const fs = new DirectoryFiles(path, place, fsync, identity);
  if (!fsync) return { fs, startParams: PGlite.defaultStartParams };
  // -F is "fsync off". Of the ways to sync the WAL only fsync() gets as far as the file system.
  const parameters = PGlite.defaultStartParams.filter((parameter) => parameter !== "-F");
  return { fs, startParams: [...parameters, "-c", "wal_sync_method=fsync"] };
}

type ModuleOptions = Parameters<NodeFS["init"]>[1];

type Call = (...values: never[]) => unknown;

/** The parts of Emscripten's file system that PGlite's types leave out. */
interface SystemDirectory {
  node_ops: {
    rename: (node: SystemNode, directory: SystemNode, name: string) => void;
    mknod: (directory: SystemNode, name: string, mode: number, device: number) => SystemNode;
    setattr: (node: SystemNode, attributes: { readonly mode?: number }) => void;
  } & Record<(typeof changesByName)[number], Call>;
  stream_ops: {
    fsync?: (stream: { nfd: number }) => number;
    open: (stream: { flags: number }) => void;
  } & Record<(typeof changesOfOpenFiles)[number], Call>;
  /** Turns an error of the system into an error number for PostgreSQL. */
  tryFSOperation(run: () => void): void;
  realPath(node: SystemNode): string;
  getMode(path: string): number;
}
/** Emscripten's `FS`, as far as it is needed. */
interface SystemFiles {
  lookupPath(path: string): { readonly node: SystemNode };
}
interface SystemNode {
  name: string;
  parent: SystemNode;
}

/** See the head of the file. */
export class DirectoryFiles extends NodeFS {
  readonly #path: string;
  readonly #fsync: boolean;
  readonly #identity: DirectoryIdentity | undefined;

  constructor(path: string, place: string, fsync: boolean, identity: DirectoryIdentity | undefined) {
    super(place);
    this.#path = path;
    this.#fsync = fsync;
    this.#identity = identity;
  }

  override async init(pg: PGlite, options: ModuleOptions) {
    const place = this.rootDir;
    const before = [(module: unknown) => followLinks(module, place)];
    const { emscriptenOpts } = await super.init(pg, { ...options, preRun: [...(options.preRun ?? []), ...before] });
    const preRun = [...(emscriptenOpts.preRun ?? []), renameInOneStep, (module: unknown) => keepPrivate(module, place)];
    if (this.#fsync) preRun.push(reachTheDisk);
    const identity = this.#identity;
    if (identity) preRun.push((module: unknown) => changeOnlyWhatIsOurs(module, identity));
    return { emscriptenOpts: { ...emscriptenOpts, preRun } };
  }

  /** The file system shares what neither side changes, where it can. */
  readonly copying: Copying = {
    directory: (from, to, pages) => this.#copyDirectory(from, to, pages),
    isCheap: false,
  };

  #copyDirectory(from: string, to: string, pages: Parameters<typeof copyFiles>[2]): boolean {
    const { Module: postgres } = this.pg!;
    const FS = postgres.FS as unknown as SystemFiles;
    const parent = FS.lookupPath(posix.dirname(to)).node;
    const source = FS.lookupPath(from).node;
    const { realPath } = systemDirectory(postgres);
    if (this.#identity) ownershipGuard(this.#identity)(0);
    return copyFiles(realPath(source), join(realPath(parent), posix.basename(to)), pages, this.#fsync);
  }

  /** Engine: PGlite calls it once, just before it looks for a database; where it finds none it would make one. */
  override async initialSyncFs(): Promise<void> {
    requireDatabase(this.#path, this.rootDir);
    refuseTablespacesInMemory(this.pg!);
  }
}

/** A database that was here is never made again: what is here instead is not ours, or what is left of it is no database. */
function requireDatabase(path: string, place: string): void {
  if (existsSync(join(place, "PG_VERSION"))) return;
  throw new DataDirectoryError(`${path} has lost its database: PG_VERSION is not there any more; no new one is made`);
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

/**
 * Engine: NODEFS looks at what a path names, not at what it leads to, and Emscripten looks for a link's target in its own
 * file system. Here the directory may be named by a link (its descriptor), and links in it, as that of `initdb --waldir`,
 * lead to the system's files. Those of tablespaces are PostgreSQL's own, and are not in the directory itself.
 */
function followLinks(module: unknown, place: string): void {
  const files = systemDirectory(module);
  const { realPath, getMode } = files;
  const root = `${place}/.`;
  const links = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isSymbolicLink());
  const targets = new Map(links.map(({ name }) => [name, targetOf(join(place, name))]));
  files.realPath = (node) => {
    if (node.parent === node) return root;
    const inRoot = ancestorInRoot(node);
    const target = targets.size > 0 ? targets.get(inRoot.name) : undefined;
    return target === undefined ? realPath(node) : target + realPath(node).slice(realPath(inRoot).length);
  };
  files.getMode = (path) => {
    if (path === place) return getMode(root);
    const target = dirname(path) === place ? targets.get(basename(path)) : undefined;
    return getMode(target ?? path);
  };
}

/** Undefined for a link that leads nowhere: it stays a link. */
function targetOf(link: string): string | undefined {
  try {
    return realpathSync(link);
  } catch {
    return undefined;
  }
}

function ancestorInRoot(node: SystemNode): SystemNode {
  let found = node;
  while (found.parent.parent !== found.parent) found = found.parent;
  return found;
}

/** PostgreSQL's umask (miscinit.c, checkDataDir), which PGlite leaves out: what the directory refuses its files refuse. */
function keepPrivate(module: unknown, place: string): void {
  const { node_ops } = systemDirectory(module);
  const { mknod, setattr } = node_ops;
  const allowed = (statSync(`${place}/.`).mode & 0o750) | ~0o777;
  node_ops.mknod = (directory, name, mode, device) => mknod(directory, name, mode & allowed, device);
  // Emscripten sets the mode of a file that it has created once more.
  node_ops.setattr = (node, attributes) => {
    const { mode } = attributes;
    setattr(node, mode === undefined ? attributes : { ...attributes, mode: mode & allowed });
  };
}

const changesByName = ["mknod", "rename", "unlink", "rmdir", "symlink", "setattr"] as const;
const changesOfOpenFiles = ["write", "setattr"] as const;
/** `O_WRONLY | O_RDWR | O_CREAT | O_TRUNC`, as emscripten has them. */
const forWriting = 0o1103;

/** A change throws, and goes through PostgreSQL as what ends it, when the directory is not the one that was locked. */
function changeOnlyWhatIsOurs(module: unknown, identity: DirectoryIdentity): void {
  const { node_ops, stream_ops } = systemDirectory(module);
  const requireOurs = ownershipGuard(identity);
  const guarded = (call: Call, everyMs: number): Call => {
    return (...values) => {
      requireOurs(everyMs);
      return call(...values);
    };
  };
  for (const name of changesByName) Object.assign(node_ops, { [name]: guarded(node_ops[name], 0) });
  for (const name of changesOfOpenFiles) Object.assign(stream_ops, { [name]: guarded(stream_ops[name], writeCheckMs) });
  const { open } = stream_ops;
  stream_ops.open = (stream) => {
    if (stream.flags & forWriting) requireOurs(0);
    open(stream);
  };
}

function systemDirectory(module: unknown): SystemDirectory {
  return fileSystemOf<SystemDirectory>(module, "NODEFS");
}
