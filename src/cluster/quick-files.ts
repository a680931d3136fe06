/**
 * Making many files at once in Emscripten's file system in memory.
 *
 * Owns: a shorter way there. Does not own: the file system, the contents.
 * Engine: PGlite's own files and a new cluster are two thousand, and for each Emscripten looks its path up several times, opens and
 * closes it. Here a directory is looked up once.
 * Invariant: what comes of it is what comes of `FS.createDataFile` and `FS.writeFile`.
 */

/** As `FS.writeFile` makes them, and as `FS.createDataFile` does for who may read and write. */
export const plainMode = 0o100666;
const dataMode = 0o100777;

interface DirectoryNode<N> {
  readonly contents: Readonly<Record<string, unknown>>;
  readonly node_ops: { mknod(parent: DirectoryNode<N>, name: string, mode: number, device: number): N };
}

/** The file system, as far as it is needed. */
export interface FileMakingSystem {
  lookupPath(path: string, options?: object): { readonly node: unknown };
}

interface DataNode {
  contents: Uint8Array;
  usedBytes: number;
}

/** Makes an empty file at a path where there is none, and answers with its node. */
export function fileMaker<N>(files: FileMakingSystem): (path: string, mode: number) => N {
  const directories = new Map<string, DirectoryNode<N>>();
  return (path, mode) => {
    const slash = path.lastIndexOf("/");
    const [directory, name] = [path.slice(0, slash) || "/", path.slice(slash + 1)];
    let parent = directories.get(directory);
    if (!parent) {
      parent = files.lookupPath(directory, { follow: true }).node as DirectoryNode<N>;
      directories.set(directory, parent);
    }
    if (Object.hasOwn(parent.contents, name)) throw new Error(`${path} is there already`);
    return parent.node_ops.mknod(parent, name, mode, 0);
  };
}

/** Has the files of a package made so. To be called before they are. `fill` gives them their contents where it can. */
export function makePackageQuickly<N extends object>(
  postgres: { FS_createDataFile?: unknown; FS: FileMakingSystem },
  fill: (node: N, bytes: Uint8Array) => boolean,
): void {
  const make = fileMaker<DataNode & N>(postgres.FS);
  // As it is called for a package: (path, null, its bytes, may be read, may be written, may be kept).
  postgres.FS_createDataFile = (path: string, _: null, bytes: Uint8Array) => {
    const node = make(path, dataMode);
    if (fill(node, bytes)) return;
    node.contents = bytes;
    node.usedBytes = bytes.length;
  };
}
