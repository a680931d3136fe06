/**
 * The files of a database in memory: a new cluster in the file system that PGlite has in memory.
 *
 * Owns: putting it there before PGlite looks for one, and reading a file's contents when it is first opened. Does not own:
 * the cluster (`new-cluster.ts`), the file system.
 * Invariant: a file that nobody has opened takes no memory; most of a new cluster are template0 and template1.
 */
import { MemoryFS, PGlite } from "@electric-sql/pglite";
import type { Cluster, ClusterFile } from "./cluster-archive.ts";
import { newCluster } from "./new-cluster.ts";

/** To be given to PGlite as `fs`. */
export async function openMemoryFiles(): Promise<MemoryFS> {
  return new MemoryFiles(await newCluster());
}

class MemoryFiles extends MemoryFS {
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    super();
    this.#cluster = cluster;
  }

  /** Engine: PGlite calls it once, when the file system is there, and afterwards looks whether it has a database. */
  override async initialSyncFs(): Promise<void> {
    const { FS } = this.pg!.Module;
    const { directories, files } = this.#cluster;
    const { PGDATA } = PGlite.paths;
    FS.mkdir(PGDATA);
    for (const name of directories) FS.mkdir(`${PGDATA}/${name}`);
    for (const file of files) {
      const path = `${PGDATA}/${file.name}`;
      FS.writeFile(path, "");
      readWhenOpened(FS.lookupPath(path, {}).node as unknown as MemoryNode, file);
    }
  }

  override async closeFs(): Promise<void> {
    await super.closeFs();
    this.#cluster.close();
  }
}

/** The parts of a file in Emscripten's MEMFS that PGlite's types leave out. */
interface MemoryNode {
  contents: Uint8Array | null;
  /** The file's size; `contents` may be longer. */
  usedBytes: number;
  stream_ops: { open?: () => void };
  node_ops: { setattr: (node: MemoryNode, attributes: { size?: number }) => void };
}

function readWhenOpened(node: MemoryNode, file: ClusterFile): void {
  const { stream_ops, node_ops } = node;
  const load = () => {
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
