/**
 * A PostgreSQL data directory as one sequence of bytes.
 *
 * Owns: the form. Does not own: where the files come from or go to.
 * Form: CRC-32 of all that follows (4 bytes, little endian) | length of the index (4) | the index as JSON | the contents,
 * one file after the other, each without the zeros at its end: most of a new WAL segment is nothing else.
 */
import assert from "node:assert/strict";
import { closeSync, fstatSync, readSync } from "node:fs";
import { crc32 } from "node:zlib";
import { openCached } from "../system/user-cache.ts";

/** A file of a data directory. */
export interface ClusterFile {
  /** Relative to the data directory, with slashes. */
  readonly name: string;
  readonly size: number;
  /** Its contents, in memory of their own; what is missing to `size` is zeros. */
  read(): Uint8Array;
  /** What of it lies from one place to another; absent where it is read as a whole. */
  readPart?(from: number, to: number): Uint8Array<ArrayBuffer>;
}

/** A data directory. */
export interface Cluster {
  /** All directories in it; each comes behind the one that it is in. */
  readonly directories: readonly string[];
  readonly files: readonly ClusterFile[];
  /** Afterwards nothing can be read any more. */
  close(): void;
}

interface Index {
  readonly directories: readonly string[];
  /** Name, size, and the size of the contents that are in the archive. */
  readonly files: readonly (readonly [string, number, number])[];
}

const headBytes = 8;

const partBytes = 1 << 18;

/** Of all files together; that of PostgreSQL 18 has some 40 MB. */
const largestClusterBytes = 1 << 29;

/** Names with slashes between them, none of which leads elsewhere. */
const pathInCluster = /^(?!.*(?:^|\/)\.{1,2}(?:\/|$))[\w.-]+(?:\/[\w.-]+)*$/;

/** The archive of a data directory, in memory of its own. */
export function packCluster({ directories, files }: Omit<Cluster, "close">): Uint8Array<ArrayBuffer> {
  const contents = files.map((file) => withoutZerosAtEnd(file.read()));
  const index: Index = {
    directories,
    files: files.map(({ name, size }, at) => [name, size, contents[at]!.length]),
  };
  const json = Buffer.from(JSON.stringify(index));
  const length = contents.reduce((sum, part) => sum + part.length, headBytes + json.length);
  const archive = new Uint8Array(length);
  const view = new DataView(archive.buffer);
  view.setUint32(4, json.length, true);
  let at = headBytes;
  for (const part of [json, ...contents]) {
    archive.set(part, at);
    at += part.length;
  }
  view.setUint32(0, crc32(archive.subarray(4)), true);
  return archive;
}

/** The data directory in an archive that is in memory. */
export function unpackCluster(archive: Uint8Array): Cluster {
  return clusterOf(
    archive.length,
    (at, length) => new Uint8Array(archive.subarray(at, at + length)),
    () => {},
  );
}

/**
 * The data directory in an archive that is a file of the cache, which stays open: what is not needed of it takes no memory.
 * Throws if there is none, and if it is damaged, or would be written anywhere but below the directory that it is put into.
 */
export function openCluster(path: string): Cluster {
  const file = openCached(path);
  const read = (at: number, length: number): Uint8Array<ArrayBuffer> => {
    const bytes = new Uint8Array(length);
    if (readSync(file, bytes, 0, length, at) !== length) throw new Error(`${path} has become shorter`);
    return bytes;
  };
  try {
    checkArchive(file);
    return clusterOf(fstatSync(file).size, read, () => closeSync(file));
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

function checkArchive(file: number): void {
  const { size } = fstatSync(file);
  const part = Buffer.allocUnsafeSlow(partBytes);
  let crc = 0;
  for (let at = 4; at < size; ) {
    const length = readSync(file, part, 0, partBytes, at);
    if (length === 0) throw new Error("the archive has become shorter");
    crc = crc32(part.subarray(0, length), crc);
    at += length;
  }
  readSync(file, part, 0, headBytes, 0);
  if (size < headBytes || part.readUInt32LE(0) !== crc) throw new Error("the archive is damaged");
}

function clusterOf(
  bytes: number,
  read: (at: number, length: number) => Uint8Array<ArrayBuffer>,
  close: () => void,
): Cluster {
  const indexLength = Buffer.from(read(4, 4)).readUInt32LE();
  assert(headBytes + indexLength <= bytes, "the index lies in the archive");
  const index = JSON.parse(Buffer.from(read(headBytes, indexLength)).toString("utf8")) as Index;
  checkIndex(index, bytes - headBytes - indexLength);
  let next = headBytes + indexLength;
  const files = index.files.map(([name, size, length]) => {
    const at = next;
    next += length;
    return { name, size, ...partsOf(at, length, read) };
  });
  return { directories: index.directories, files, close };
}

/** Throws unless the files are below the directory, of a size that a new cluster has, and all there. */
function checkIndex({ directories, files }: Index, contentBytes: number): void {
  for (const name of [...directories, ...files.map(([name]) => name)]) {
    assert(pathInCluster.test(name), `${JSON.stringify(name)} is the name of a file in a data directory`);
  }
  const isCount = (value: number) => Number.isInteger(value) && value >= 0;
  for (const [name, size, length] of files) {
    assert(isCount(size) && isCount(length) && length <= size, `the file ${name} has a size`);
  }
  const sum = (sizes: readonly number[]) => sizes.reduce((total, size) => total + size, 0);
  assert(sum(files.map(([, size]) => size)) <= largestClusterBytes, "a new data directory is not that large");
  assert(sum(files.map(([, , length]) => length)) === contentBytes, "the archive has the contents of all its files");
}

/** How contents are read that lie at `at`, in parts, too. */
export function partsOf<Bytes>(at: number, length: number, read: (at: number, length: number) => Bytes) {
  return {
    read: (): Bytes => read(at, length),
    readPart: (from: number, to: number): Bytes => {
      const start = Math.min(from, length);
      return read(at + start, Math.min(to, length) - start);
    },
  };
}

/** All but the zeros at its end. */
export function withoutZerosAtEnd(bytes: Uint8Array): Uint8Array {
  let length = bytes.length;
  while (length > 0 && bytes[length - 1] === 0) length--;
  return bytes.subarray(0, length);
}
