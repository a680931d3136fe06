/**
 * Emscripten's file system in memory, with files whose copies share their contents.
 *
 * Owns: what the files that are made from now on do, when a file's contents are given up. Does not own: the
 * contents (`file-contents.ts`), copying a directory (`memory-copies.ts`), which files there are (`memory-files.ts`).
 * Invariant: a file that has been removed keeps its contents for as long as somebody has it open, as everywhere.
 */
import { FileContents } from "./file-contents.ts";
import { fileSystemOf } from "./file-systems.ts";
import { memoryBudget } from "./memory-budget.ts";

/** A file, a directory or a link of MEMFS. */
export interface MemoryNode {
  name: string;
  parent: MemoryNode;
  mode: number;
  /** A directory's entries, or a file's bytes. */
  contents: Record<string, MemoryNode> | FileContents | Uint8Array;
  /** MEMFS answers with it for a file's size. */
  usedBytes: number;
  /** When it was changed last, in ms. */
  mtime: number;
  ctime: number;
  stream_ops: object;
  /** How many streams are open on it. */
  opened?: number;
  isRemoved?: boolean;
}

interface Stream {
  readonly node: MemoryNode;
}

type Bytes = Int8Array | Uint8Array;

interface FileOperations {
  readonly node: { getattr: unknown; setattr: (node: MemoryNode, attributes: { size?: number }) => void };
  readonly stream: {
    llseek: unknown;
    mmap: (stream: object, length: number, position: number, protection: number, flags: number) => object;
  };
}

interface DirectoryOperations {
  readonly node: {
    unlink: (parent: MemoryNode, name: string) => void;
    rename: (node: MemoryNode, directory: MemoryNode, name: string) => void;
  };
}

/** Emscripten's `MEMFS`, as far as it is needed. */
interface MemoryKind {
  /** Emscripten gives each new node the operations that are here then. */
  ops_table: { file: FileOperations; readonly dir: DirectoryOperations };
  createNode(parent: MemoryNode, name: string, mode: number, device: number): MemoryNode;
}

/** PGlite's `Module`, as far as it is needed. */
export interface MemoryModule {
  readonly FS: MemoryFileSystem;
}

/** Emscripten's `FS`, as far as it is needed. */
export interface MemoryFileSystem {
  /** The error of a system call, by WASI's number. */
  readonly ErrnoError: new (
    errno: number,
  ) => Error;
  lookupPath(path: string): { readonly node: MemoryNode };
  destroyNode(node: MemoryNode): void;
  /** A node can be found by its name and its directory. */
  hashAddNode(node: MemoryNode): void;
  hashRemoveNode(node: MemoryNode): void;
  lookupNode(parent: MemoryNode, name: string): MemoryNode;
  unlink(path: string): void;
  analyzePath(path: string): { readonly exists: boolean };
  mkdir(path: string, mode: number): MemoryNode;
}

/** ENOSPC in WASI. */
const noSpace = 51;

/** Kinds of files (stat.h). */
const kindMask = 0o170_000;
const regularFile = 0o100_000;
const directoryFile = 0o040_000;

/** The files that are made from now on have contents that can be shared. */
export function shareContents(module: MemoryModule): void {
  const { ops_table } = memoryKind(module);
  const { file, dir } = ops_table;
  removeSooner(module);
  ops_table.file = fileOperations(file, module.FS);
  const { unlink, rename } = dir.node;
  dir.node.unlink = (parent, name) => {
    const node = entriesOf(parent)[name];
    unlink(parent, name);
    if (node) remove(node);
  };
  dir.node.rename = (node, directory, name) => {
    const replaced = entriesOf(directory)[name];
    rename(node, directory, name);
    if (replaced && replaced !== node) remove(replaced);
  };
}

/** That of a PGlite. */
export function memoryKind(module: MemoryModule): MemoryKind {
  return fileSystemOf<MemoryKind>(module, "MEMFS");
}

/** A database's directory, as Emscripten's system calls name it. No link leads there. */
const databaseDirectory = /^\/.*\/base\/\d+$/;

/** DROP DATABASE removes hundreds of files, one by one; to look up the path of each takes longer than to remove them. */
function removeSooner(module: MemoryModule): void {
  const { FS: files } = module;
  const { unlink } = files;
  let last: { readonly path: string; readonly node: MemoryNode } | undefined;
  files.unlink = (path) => {
    const end = path.lastIndexOf("/");
    const [directory, name] = [path.slice(0, Math.max(end, 0)), path.slice(end + 1)];
    if (last?.path !== directory || !isThere(last.node)) {
      last = undefined;
      if (!databaseDirectory.test(directory) || !files.analyzePath(directory).exists) return unlink.call(files, path);
      last = { path: directory, node: files.lookupPath(directory).node };
    }
    const node = entriesOf(last.node)[name];
    // What cannot be removed so is an error, of which Emscripten knows the number.
    if (!node || !isRegular(node)) return unlink.call(files, path);
    removeFile(module, node);
  };
}

/** Removes a file. */
export function removeFile(module: MemoryModule, node: MemoryNode): void {
  memoryKind(module).ops_table.dir.node.unlink(node.parent, node.name);
  module.FS.destroyNode(node);
}

/** Whether it is where it was, up to the root. */
function isThere(directory: MemoryNode): boolean {
  for (let node = directory; node.parent !== node; node = node.parent) {
    if (entriesOf(node.parent)[node.name] !== node) return false;
  }
  return true;
}

/** Sets what a file contains. */
export function setContents(node: MemoryNode, contents: FileContents): void {
  node.contents = contents;
  node.usedBytes = contents.size;
}

/** How the contents of a file are read that nobody has needed; undefined once somebody has. */
export function unreadContents(node: object): (() => Uint8Array) | undefined {
  const { contents } = node as MemoryNode;
  return contents instanceof FileContents ? contents.unreadBy : undefined;
}

/** How many bytes of memory the files of a directory take, and those of its directories. */
export function takenBytes(files: MemoryFileSystem, directory: string): number {
  const taken = (node: MemoryNode): number => {
    if (isOurs(node)) return contentsOf(node).takenBytes;
    if (!isDirectory(node)) return 0;
    return Object.values(entriesOf(node)).reduce((sum, entry) => sum + taken(entry), 0);
  };
  return taken(files.lookupPath(directory).node);
}

function fileOperations({ node, stream }: FileOperations, { ErrnoError }: MemoryFileSystem): FileOperations {
  const operations = {
    llseek: stream.llseek,
    open: ({ node: opened }: Stream) => {
      opened.opened = (opened.opened ?? 0) + 1;
    },
    dup: ({ node: opened }: Stream) => {
      opened.opened = (opened.opened ?? 0) + 1;
    },
    close: ({ node: closed }: Stream) => {
      closed.opened = (closed.opened ?? 1) - 1;
      if (closed.isRemoved) remove(closed);
    },
    read: ({ node: file }: Stream, target: Bytes, offset: number, length: number, position: number) =>
      contentsOf(file).read(target, offset, length, position),
    write: ({ node: file }: Stream, source: Bytes, offset: number, length: number, position: number) => {
      if (length === 0) return 0;
      const contents = contentsOf(file);
      const end = position + length;
      if (end > contents.size && memoryBudget.refuses(file, end)) throw new ErrnoError(noSpace);
      contents.write(source, offset, length, position);
      file.usedBytes = contents.size;
      file.mtime = file.ctime = Date.now();
      return length;
    },
    // Emscripten's mappings are copies, which msync writes back.
    mmap: ({ node: file }: Stream, length: number, position: number, protection: number, flags: number) => {
      const bytes = new Uint8Array(file.usedBytes);
      contentsOf(file).read(bytes, 0, bytes.length, 0);
      return stream.mmap({ node: { mode: file.mode, contents: bytes } }, length, position, protection, flags);
    },
    msync: (opened: Stream, source: Bytes, position: number, length: number): number => {
      operations.write(opened, source, 0, length, position);
      return 0;
    },
  };
  const setattr = (file: MemoryNode, attributes: { size?: number }): void => {
    const { size, ...others } = attributes;
    node.setattr(file, others);
    if (size === undefined) return;
    contentsOf(file).resize(size);
    file.usedBytes = size;
  };
  return { node: { ...node, setattr }, stream: operations as FileOperations["stream"] };
}

/** MEMFS gives a new file an array that all empty files have. */
export function contentsOf(node: MemoryNode): FileContents {
  if (!(node.contents instanceof FileContents)) node.contents = new FileContents();
  return node.contents;
}

/** What is in a directory, by name. */
export function entriesOf(directory: MemoryNode): Record<string, MemoryNode> {
  return directory.contents as Record<string, MemoryNode>;
}

/** Whether it is a directory. */
export function isDirectory(node: MemoryNode): boolean {
  return (node.mode & kindMask) === directoryFile;
}

/** Whether it is a file, no link or directory. */
export function isRegular(node: MemoryNode): boolean {
  return (node.mode & kindMask) === regularFile;
}

/** Whether it is a file whose contents can be shared. */
export function isOurs(node: MemoryNode): boolean {
  return "dup" in node.stream_ops;
}

function remove(node: MemoryNode): void {
  node.isRemoved = true;
  if (isOurs(node) && (node.opened ?? 0) === 0) contentsOf(node).release();
}
