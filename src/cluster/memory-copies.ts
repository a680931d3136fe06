/**
 * Copies of directories in memory, whose files share their contents until one of them changes.
 *
 * Owns: making one, and having one that nobody has changed be as its source is by now. Does not own: the contents (`file-contents.ts`), which
 * directories (`../sessions/database-copies.ts`).
 */

import type { Page } from "./copying.ts";
import {
  contentsOf,
  entriesOf,
  isDirectory,
  isOurs,
  isRegular,
  type MemoryModule,
  type MemoryNode,
  memoryKind,
  removeFile,
} from "./memory-nodes.ts";

const permissions = 0o7777;

/**
 * Makes a directory with copies of the files of another one, and writes pages over the copies that there are. False, and nothing is done, where it is not as simple: when the new
 * one exists, or the other one does not or has something else than files.
 */
export function copyDirectory(module: MemoryModule, from: string, to: string, pages: readonly Page[]): boolean {
  const { FS: files } = module;
  if (!files.analyzePath(from).exists || files.analyzePath(to).exists) return false;
  const parent = to.slice(0, to.lastIndexOf("/"));
  if (!files.analyzePath(parent).exists) return false;
  const source = files.lookupPath(from).node;
  const nodes = Object.values(entriesOf(source));
  if (!nodes.every(isShared)) return false;
  files.mkdir(to, source.mode & permissions);
  const directory = files.lookupPath(to).node;
  for (const node of nodes) addCopy(module, directory, node);
  writePages(directory, pages);
  return true;
}

/**
 * Has a copy that nobody has opened or changed be what `copyDirectory` would make now; only what differs is exchanged. False, and nothing is done, where that
 * is not as simple: when one of the two is not there, or has something else than files.
 */
export function refreshDirectory(module: MemoryModule, from: string, to: string, pages: readonly Page[]): boolean {
  const { FS: files } = module;
  if (!files.analyzePath(from).exists || !files.analyzePath(to).exists) return false;
  const [source, directory] = [files.lookupPath(from).node, files.lookupPath(to).node];
  if (!isDirectory(source) || !isDirectory(directory)) return false;
  const [wanted, there] = [entriesOf(source), entriesOf(directory)];
  const differing: MemoryNode[] = [];
  // Most are as they were: looking at them is what this takes.
  for (const name in wanted) {
    const node = wanted[name]!;
    const copy = there[name];
    if (!isShared(node) || (copy && !isShared(copy))) return false;
    if (!copy || !contentsOf(node).isSharedWith(contentsOf(copy))) differing.push(node);
  }
  const gone: MemoryNode[] = [];
  for (const name in there) {
    const copy = there[name]!;
    if (!isShared(copy)) return false;
    if (!wanted[name]) gone.push(copy);
  }
  // From here on nothing is refused.
  for (const node of gone) removeFile(module, node);
  for (const node of differing) {
    const copy = there[node.name];
    if (copy) {
      contentsOf(copy).become(contentsOf(node));
      copy.usedBytes = node.usedBytes;
    } else addCopy(module, directory, node);
  }
  writePages(directory, pages);
  return true;
}

function isShared(node: MemoryNode): boolean {
  return isRegular(node) && isOurs(node);
}

function addCopy(module: MemoryModule, directory: MemoryNode, node: MemoryNode): void {
  const copy = memoryKind(module).createNode(directory, node.name, node.mode, 0);
  copy.contents = contentsOf(node).clone();
  copy.usedBytes = node.usedBytes;
}

/** Over the copies that there are. */
function writePages(directory: MemoryNode, pages: readonly Page[]): void {
  for (const { file, position, bytes } of pages) {
    const node = entriesOf(directory)[file];
    if (!node) continue;
    contentsOf(node).write(bytes, 0, bytes.length, position);
    node.usedBytes = contentsOf(node).size;
  }
}
