/**
 * The files of a database in memory: a new cluster in the file system that PGlite has in memory.
 *
 * Owns: putting it there before PGlite looks for one, what is configured otherwise than on a disk, and reading a file's
 * contents when it is first opened. Does not own: the cluster (`new-cluster.ts`), the file system.
 * Invariant: a file that nobody has opened takes no memory; most of a new cluster are template0 and template1.
 */
import { MemoryFS, PGlite } from "@electric-sql/pglite";
import type { Cluster, ClusterFile } from "./cluster-archive.ts";
import { giveBackMemory, type MemoryNode } from "./memory-contents.ts";
import { newCluster } from "./new-cluster.ts";
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
export async function openMemoryFiles(): Promise<MemoryFS> {
  const cluster = await newCluster();
  return new MemoryFiles({ ...cluster, files: cluster.files.map(configured) });
}

/** The files of a cluster that is configured for memory, to be given to PGlite as `fs`. */
export class MemoryFiles extends MemoryFS {
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    super();
    this.#cluster = cluster;
  }

  /** Engine: PGlite asks it for what it gives to Emscripten besides. */
  override async init(...parameters: Parameters<MemoryFS["init"]>): ReturnType<MemoryFS["init"]> {
    const { emscriptenOpts: options } = await super.init(...parameters);
    type Prepare = Parameters<typeof makePackageQuickly>[0];
    const preRun = [...(options.preRun ?? []), (postgres: unknown) => makePackageQuickly(postgres as Prepare)];
    return { emscriptenOpts: { ...options, preRun } };
  }

  /** Engine: PGlite calls it once, when the file system is there, and afterwards looks whether it has a database. */
  override async initialSyncFs(): Promise<void> {
    const { FS } = this.pg!.Module;
    giveBackMemory(
      (FS as unknown as { filesystems: { MEMFS: Parameters<typeof giveBackMemory>[0] } }).filesystems.MEMFS,
    );
    const { directories, files } = this.#cluster;
    const { PGDATA } = PGlite.paths;
    FS.mkdir(PGDATA);
    for (const name of directories) FS.mkdir(`${PGDATA}/${name}`);
    const make = fileMaker<UnreadNode>(FS as unknown as FileMakingSystem);
    for (const file of files) {
      readWhenOpened(make(`${PGDATA}/${file.name}`, plainMode), file);
    }
  }

  override async closeFs(): Promise<void> {
    await super.closeFs();
    this.#cluster.close();
  }
}

function configured(file: ClusterFile): ClusterFile {
  if (file.name !== "postgresql.conf") return file;
  const contents = Buffer.concat([file.read(), Buffer.from(configuration)]);
  return { ...file, size: contents.length, read: () => contents };
}

/** By their nodes, the files that nobody has opened. */
const unread = new WeakMap<object, ClusterFile>();

/** The file that is to be read when this node is first opened; undefined once it has been. */
export function unreadFile(node: object): ClusterFile | undefined {
  return unread.get(node);
}

/** What is set on a file until it is opened. */
interface UnreadNode extends MemoryNode {
  stream_ops: { open?: () => void };
  node_ops: { setattr: (node: UnreadNode, attributes: { size?: number }) => void };
}

function readWhenOpened(node: UnreadNode, file: ClusterFile): void {
  const { stream_ops, node_ops } = node;
  unread.set(node, file);
  const load = () => {
    unread.delete(node);
    node.stream_ops = stream_ops;
    node.node_ops = node_ops;
    const contents = new Uint8Array(file.size);
    contents.set(file.read());
    node.contents = contents;
  };
  node.usedBytes = file.size;
  node.stream_ops = { ...stream_ops, open: load };
  // truncate() needs no open file.
  const setattr: typeof node_ops.setattr = (changed, attributes) => {
    if (attributes.size !== undefined) load();
    node_ops.setattr(changed, attributes);
  };
  node.node_ops = { ...node_ops, setattr };
}
