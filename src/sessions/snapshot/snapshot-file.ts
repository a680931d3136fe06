/**
 * The file that a snapshot is kept in.
 *
 * Owns: its form, and what of it has to be found to be made anew (`Head`). Does not own: what a snapshot is (`boot-snapshot.ts`),
 * its name, when it is written (`snapshot-cache.ts`).
 * Form: CRC-32 of all that follows | length of the head | length of the memory (4 bytes each, little endian) | the head as
 * JSON | the memory | the contents of the files, equal ones once, each without the zeros at its end.
 * Invariant: nothing is taken from a file that is not whole: its sum is over all of it. What is read later, into the place where
 * it is needed, is read from the same open file, which nobody writes to: it is only ever replaced.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { closeSync, fstatSync, readSync } from "node:fs";
import { crc32 } from "node:zlib";
import { type ClusterFile, partsOf, withoutZerosAtEnd } from "../../cluster/cluster-archive.ts";
import { identifierOf } from "../../cluster/cluster-identity.ts";
import { keepInCache, openCached } from "../../system/user-cache.ts";
import type { BootSnapshot, SnapshotFacts } from "./boot-snapshot.ts";
import { type KeptSnapshot, postgresEpochMs } from "./restore.ts";

const fixedBytes = 12;
const partBytes = 1 << 18;

/** More times of one boot than PostgreSQL keeps: beyond it, what was found is something else. */
const mostTimes = 256;

interface Head {
  readonly key: string;
  readonly facts: SnapshotFacts;
  readonly times: readonly number[];
  readonly identifiers: readonly number[];
  readonly directories: readonly string[];
  /** Name, size, where its contents begin behind the memory, and how long they are. */
  readonly files: readonly (readonly [name: string, size: number, at: number, length: number])[];
}

/** Writes it; answers whether it did. Throws where what is to be made anew is not found. */
export function writeSnapshot(path: string, key: string, { facts, memory, cluster }: BootSnapshot): boolean {
  const { files, contents } = packFiles(cluster.files);
  const head: Head = {
    key,
    facts,
    times: findTimes(memory, facts),
    identifiers: findNumber(memory, identifierOf(cluster)),
    directories: cluster.directories,
    files,
  };
  assert(head.times.length > 0 && head.times.length <= mostTimes, "the times of the boot are found");
  assert(head.identifiers.length > 0, "the system identifier is found");
  const json = Buffer.from(JSON.stringify(head));
  const lengths = Buffer.alloc(fixedBytes - 4);
  lengths.writeUInt32LE(json.length, 0);
  lengths.writeUInt32LE(memory.length, 4);
  const parts = [lengths, json, memory, ...contents];
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE(parts.reduce((crc, part) => crc32(part, crc), 0));
  return keepInCache(path, sum, ...parts);
}

/** Reads one that was written with the same key. Throws if there is none, or it is not whole. Its cluster is to be closed. */
export function readSnapshot(path: string, key: string): KeptSnapshot {
  const file = openCached(path);
  try {
    const { size } = fstatSync(file);
    const fixed = readAt(file, 0, fixedBytes);
    const [sum, headBytes, memoryBytes] = [0, 4, 8].map((at) => fixed.readUInt32LE(at)) as [number, number, number];
    const contentsAt = fixedBytes + headBytes + memoryBytes;
    assert(contentsAt <= size, "a snapshot is as long as it says");
    const json = readAt(file, fixedBytes, headBytes);
    let crc = crc32(json, crc32(fixed.subarray(4)));
    const part = Buffer.allocUnsafeSlow(partBytes);
    for (let at = fixedBytes + headBytes; at < size; ) {
      const length = readSync(file, part, 0, partBytes, at);
      assert(length > 0, "a snapshot does not become shorter");
      crc = crc32(part.subarray(0, length), crc);
      at += length;
    }
    assert(crc === sum, "a snapshot is as it was written");
    const head = JSON.parse(json.toString("utf8")) as Head;
    assert(head.key === key, "a snapshot is of what its name says");
    const { facts, times, identifiers, directories } = head;
    const files = head.files.map(([name, bytes, at, length]) => {
      return { name, size: bytes, ...partsOf(contentsAt + at, length, (from, count) => bytesAt(file, from, count)) };
    });
    const memory = {
      length: memoryBytes,
      read: (at: number, target: Uint8Array) => readInto(target, file, fixedBytes + headBytes + at),
    };
    return { facts, memory, times, identifiers, cluster: { directories, files, close: () => closeSync(file) } };
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

/** Most files of the three databases of a new cluster are equal. */
function packFiles(files: readonly ClusterFile[]): { files: Head["files"]; contents: Uint8Array[] } {
  const contents: Uint8Array[] = [];
  const places = new Map<string, number>();
  let end = 0;
  const packed = files.map(({ name, size, read }) => {
    const bytes = withoutZerosAtEnd(read());
    const hash = createHash("sha1").update(bytes).digest("base64");
    let at = places.get(hash);
    if (at === undefined) {
      at = end;
      places.set(hash, at);
      contents.push(bytes);
      end += bytes.length;
    }
    return [name, size, at, bytes.length] as const;
  });
  return { files: packed, contents };
}

/** Where in the memory there is a time, as PostgreSQL counts, that the boot took from the clock. All addresses are multiples of 8. */
function findTimes(memory: Uint8Array, { began, ended }: SnapshotFacts): number[] {
  const [first, last] = [began - postgresEpochMs, ended + 1 - postgresEpochMs].map((ms) => ms * 1000);
  const words = wordsOf(memory);
  const highest = Math.floor(last! / 2 ** 32);
  const lowest = Math.floor(first! / 2 ** 32);
  const found: number[] = [];
  for (let at = 1; at < words.length; at += 2) {
    const high = words[at]!;
    if (high < lowest || high > highest) continue;
    const time = high * 2 ** 32 + words[at - 1]!;
    if (time >= first! && time <= last!) found.push((at - 1) * 4);
  }
  return found;
}

function findNumber(memory: Uint8Array, number: bigint): number[] {
  const [low, high] = [Number(number & 0xffff_ffffn), Number(number >> 32n)];
  const words = wordsOf(memory);
  const found: number[] = [];
  for (let at = words.indexOf(low); at >= 0; at = words.indexOf(low, at + 1)) {
    if (at % 2 === 0 && words[at + 1] === high) found.push(at * 4);
  }
  return found;
}

function wordsOf(memory: Uint8Array): Uint32Array {
  assert(memory.byteOffset % 4 === 0 && memory.length % 8 === 0, "memory consists of words");
  return new Uint32Array(memory.buffer, memory.byteOffset, memory.length / 4);
}

function readAt(file: number, at: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length);
  readInto(bytes, file, at);
  return bytes;
}

function bytesAt(file: number, at: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  readInto(bytes, file, at);
  return bytes;
}

function readInto(target: Uint8Array, file: number, at: number): void {
  assert(readSync(file, target, 0, target.length, at) === target.length, "a snapshot is as long as it was");
}
