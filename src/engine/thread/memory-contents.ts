/**
 * The contents of large files in Emscripten's file system in memory.
 *
 * Owns: how they grow and shrink. Does not own: the file system, small files.
 * Invariant: what is behind a file's end is zeros, as in any file system.
 *
 * Engine: MEMFS copies a file's contents into a larger array whenever it grows by an eighth, and into a smaller one when it is
 * truncated; what was there before waits for the collection of garbage, which a thread that sleeps in between does not come
 * to. A resizable buffer grows where it is, and what it gives up the system has back at once. PostgreSQL truncates what it
 * drops before it removes it (storage/smgr/md.c, mdunlinkfork).
 */

/** The parts of a file in Emscripten's MEMFS that PGlite's types leave out. */
export interface MemoryNode {
  contents: Uint8Array | null;
  /** The file's size; `contents` may be longer. */
  usedBytes: number;
}

/** The file system, as far as it is replaced. Emscripten calls its functions by these names. */
interface MemoryFileSystem {
  expandFileStorage(node: MemoryNode, bytes: number): void;
  resizeFileStorage(node: MemoryNode, bytes: number): void;
}

/** Smaller files stay as they are: each resizable buffer takes two mappings of the system, which has some ten thousands. */
const large = 2 ** 20;
/** Only addresses are taken for it. PostgreSQL's own files are not longer; one that is goes back to MEMFS's way. */
const longest = 2 ** 30;
const step = 2 ** 18;

/** From now on large files take as much memory as is in them. */
export function giveBackMemory(files: MemoryFileSystem): void {
  const { expandFileStorage, resizeFileStorage } = files;
  files.expandFileStorage = (node, bytes) => {
    if ((node.contents?.length ?? 0) >= bytes) return;
    if (!makeResizable(node, bytes)) return expandFileStorage(node, bytes);
    bufferOf(node).resize(Math.min(longest, Math.ceil(bytes / step) * step));
  };
  files.resizeFileStorage = (node, bytes) => {
    if (!makeResizable(node, bytes)) return resizeFileStorage(node, bytes);
    bufferOf(node).resize(bytes);
    node.usedBytes = bytes;
  };
}

/** False for a file of a size that is left to MEMFS, or where the system has no addresses left for it. */
function makeResizable(node: MemoryNode, bytes: number): boolean {
  if (bytes > longest) return false;
  if (bufferOf(node).resizable) return true;
  if (bytes < large) return false;
  const before = node.contents!.subarray(0, node.usedBytes);
  try {
    node.contents = new Uint8Array(new ArrayBuffer(before.length, { maxByteLength: longest }));
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
  node.contents.set(before);
  return true;
}

function bufferOf({ contents }: MemoryNode): ArrayBuffer {
  return contents!.buffer as ArrayBuffer;
}
