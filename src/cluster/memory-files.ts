/**
 * The files of a database in memory: a new cluster in the file system that PGlite has in memory.
 *
 * Owns: putting it there before PGlite looks for one, and what is configured otherwise than on a disk. Does not own: the
 * cluster (`new-cluster.ts`), the files' contents (`file-contents.ts`), the file system.
 * Invariant: a file that nobody has read takes no memory; most of a new cluster are template0 and template1.
 */
import assert from "node:assert/strict";
import { MemoryFS, PGlite } from "@electric-sql/pglite";
import type { Cluster, ClusterFile } from "./cluster-archive.ts";
import type { Copying } from "./copying.ts";
import { FileContents } from "./file-contents.ts";
import { FilesMark, tablespaceElsewhere } from "./files-mark.ts";
import { copyDirectory, refreshDirectory } from "./memory-copies.ts";
import { type MemoryModule, type MemoryNode, setContents, shareContents, takenBytes } from "./memory-nodes.ts";
import { newCluster } from "./new-cluster.ts";
import type { PackageFiles } from "./package-files.ts";
import { type FileMakingSystem, fileMaker, makePackageQuickly, plainMode } from "./quick-files.ts";

/**
 * Nobody ever recovers from the WAL of a database in memory, and it is memory: so it is short, and has no images of pages.
 * These are lines of postgresql.conf, so that ALTER SYSTEM and SET win. A new segment is taken in one piece, not in many
 * that grow.
 */
const configuration = `
# added for a database in memory
max_wal_size = 64MB
min_wal_size = 32MB
full_page_writes = off
wal_init_zero = off
`;

/** To be given to PGlite as `fs`. */
export async function openMemoryFiles(): Promise<MemoryFiles> {
  const cluster = await newCluster();
  return new MemoryFiles({ ...cluster, files: cluster.files.map(configured) });
}

/** The files of a cluster that is configured for memory, to be given to PGlite as `fs`. */
export class MemoryFiles extends MemoryFS {
  readonly #cluster: Cluster;
  readonly #package: PackageFiles | undefined;

  /** With `packageFiles` PGlite's own are read when they are needed; then they are also its option `fsBundle`. */
  constructor(cluster: Cluster, packageFiles?: PackageFiles) {
    super();
    this.#cluster = cluster;
    this.#package = packageFiles;
  }

  /** Engine: PGlite asks it for what it gives to Emscripten besides. */
  override async init(...parameters: Parameters<MemoryFS["init"]>): ReturnType<MemoryFS["init"]> {
    const { emscriptenOpts: options } = await super.init(...parameters);
    const preRun = [...(options.preRun ?? []), (postgres: unknown) => this.#prepare(postgres as MemoryModule)];
    return { emscriptenOpts: { ...options, preRun } };
  }

  /** Before there is any file. */
  #prepare(postgres: MemoryModule): void {
    if (this.#package) shareContents(postgres);
    makePackageQuickly<MemoryNode>(postgres as unknown as Parameters<typeof makePackageQuickly>[0], (node, bytes) => {
      const read = this.#package?.readerOf(bytes);
      // What else is in these files' place would have no contents.
      assert(read || !this.#package, "PGlite's files are cut out of what stands in for them");
      if (read) setContents(node, FileContents.unread(bytes.length, { read }));
      return read !== undefined;
    });
  }

  /** Engine: PGlite calls it once, when the file system is there, and afterwards looks whether it has a database. */
  override async initialSyncFs(): Promise<void> {
    const { FS } = this.pg!.Module;
    if (!this.#package) shareContents(this.#module);
    const { directories, files } = this.#cluster;
    const { PGDATA } = PGlite.paths;
    FS.mkdir(PGDATA);
    for (const name of directories) FS.mkdir(`${PGDATA}/${name}`);
    const make = fileMaker<MemoryNode>(FS as unknown as FileMakingSystem);
    for (const file of files) {
      setContents(make(`${PGDATA}/${file.name}`, plainMode), FileContents.unread(file.size, file));
    }
  }

  /** Nothing is copied until one of the two changes. */
  readonly copying: Copying = {
    directory: (from, to, pages) => copyDirectory(this.#module, from, to, pages),
    refresh: (from, to, pages) => refreshDirectory(this.#module, from, to, pages),
    isCheap: true,
    obstacle: () => tablespaceElsewhere(this.#module.FS, PGlite.paths.PGDATA),
    mark: () => new FilesMark(this.#module.FS, PGlite.paths.PGDATA),
  };

  /** How many bytes of memory the files of a directory take, which may have directories. */
  takenBytes(directory: string): number {
    return takenBytes(this.#module.FS, directory);
  }

  get #module(): MemoryModule {
    return this.pg!.Module as unknown as MemoryModule;
  }

  override async closeFs(): Promise<void> {
    await super.closeFs();
    this.#cluster.close();
    this.#package?.close();
  }
}

function configured(file: ClusterFile): ClusterFile {
  if (file.name !== "postgresql.conf") return file;
  const contents = Buffer.concat([file.read(), Buffer.from(configuration)]);
  return { name: file.name, size: contents.length, read: () => contents };
}
