/**
 * A directory of files in memory as it was at one moment, and bringing it back.
 *
 * Owns: which files there were, under which names, with which contents. Does not own: the contents (`file-contents.ts`), who has files
 * open: nobody may have a file open that was not open then.
 * How: it shares the contents with the files until they change, so it takes what has changed since, and to bring that back is to
 * exchange what is not shared any more.
 * Invariant: a file is the same node as it was, wherever it has been renamed to: streams of then go on with it.
 */
import assert from "node:assert/strict";
import type { FileContents } from "./file-contents.ts";
import { contentsOf, entriesOf, isDirectory, isOurs, type MemoryFileSystem, type MemoryNode } from "./memory-nodes.ts";

/** What keeps a mark of a data directory from having all of a server's files: PostgreSQL links to the others from `pg_tblspc`. */
export function tablespaceElsewhere(files: MemoryFileSystem, dataDirectory: string): string | undefined {
  const tablespaces = Object.values(entriesOf(files.lookupPath(`${dataDirectory}/pg_tblspc`).node));
  const link = tablespaces.find((node) => !isDirectory(node) && !isOurs(node));
  return link && `the tablespace with the OID ${link.name} is not in the data directory; LOCATION '' would be`;
}

/** What is kept of a file. */
interface KeptFile {
  readonly contents: FileContents;
  readonly mode: number;
  readonly mtime: number;
  readonly ctime: number;
}

/** See the head of the file. */
export class FilesMark {
  readonly #files: MemoryFileSystem;
  readonly #directories = new Map<MemoryNode, Readonly<Record<string, MemoryNode>>>();
  readonly #kept = new Map<MemoryNode, KeptFile>();

  /** Throws where something is neither a file of ours nor a directory: that could not be brought back. */
  constructor(files: MemoryFileSystem, path: string) {
    this.#files = files;
    this.#add(files.lookupPath(path).node);
  }

  #add(directory: MemoryNode): void {
    const entries = { ...entriesOf(directory) };
    this.#directories.set(directory, entries);
    for (const node of Object.values(entries)) {
      if (isDirectory(node)) {
        this.#add(node);
        continue;
      }
      assert(
        isOurs(node),
        `in a data directory in memory there are files and directories, and ${node.name} is neither`,
      );
      const { mode, mtime, ctime } = node;
      this.#kept.set(node, { contents: contentsOf(node).clone(), mode, mtime, ctime });
    }
  }

  /** Brings everything back. */
  restore(): void {
    for (const [directory, kept] of this.#directories) {
      const entries = entriesOf(directory);
      for (const name of Object.keys(entries)) if (entries[name] !== kept[name]) this.#remove(directory, name);
    }
    for (const [directory, kept] of this.#directories) {
      const entries = entriesOf(directory);
      for (const name of Object.keys(kept)) {
        const node = kept[name]!;
        if (entries[name] === node) continue;
        node.parent = directory;
        node.name = name;
        node.isRemoved = false;
        entries[name] = node;
        this.#files.hashAddNode(node);
      }
    }
    for (const [node, { contents, mode, mtime, ctime }] of this.#kept) {
      contentsOf(node).become(contents);
      node.usedBytes = contents.size;
      node.mode = mode;
      node.mtime = mtime;
      node.ctime = ctime;
    }
  }

  /** Gives up what is kept. */
  release(): void {
    for (const { contents } of this.#kept.values()) contents.release();
    this.#kept.clear();
    this.#directories.clear();
  }

  /** For tests: what is not as it was. */
  differences(): string[] {
    const found: string[] = [];
    for (const [directory, kept] of this.#directories) {
      const entries = entriesOf(directory);
      for (const name of new Set([...Object.keys(entries), ...Object.keys(kept)])) {
        const node = kept[name];
        if (!node || entries[name] !== node || this.#files.lookupNode(directory, name) !== node) found.push(name);
      }
    }
    for (const [node, { contents }] of this.#kept) {
      if (!isSame(contentsOf(node), contents) || node.usedBytes !== contents.size) found.push(node.name);
    }
    return found;
  }

  /** A name that was not there, or stood for something else. What was there elsewhere will get its name back. */
  #remove(directory: MemoryNode, name: string): void {
    const entries = entriesOf(directory);
    const node = entries[name]!;
    this.#files.hashRemoveNode(node);
    delete entries[name];
    if (this.#directories.has(node) || this.#kept.has(node)) return;
    if (isDirectory(node)) for (const inside of Object.keys(entriesOf(node))) this.#remove(node, inside);
    else if (isOurs(node)) {
      assert((node.opened ?? 0) === 0, "a file that was made since is open");
      contentsOf(node).release();
    }
  }
}

function isSame(one: FileContents, other: FileContents): boolean {
  if (one.size !== other.size) return false;
  if (one.unreadBy && one.unreadBy === other.unreadBy) return true;
  const bytes = [one, other].map((contents) => {
    const whole = Buffer.alloc(contents.size);
    contents.read(whole, 0, whole.length, 0);
    return whole;
  });
  return bytes[0]!.equals(bytes[1]!);
}
