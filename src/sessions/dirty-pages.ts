/**
 * The pages of a database that PostgreSQL has changed in its buffers and not yet written to their files.
 *
 * Owns: finding them in shared memory, as FlushBuffer (storage/buffer/bufmgr.c) would write them. Does not own: where they are written to.
 * Invariant: a page is taken only while nobody is changing it; who changes one holds its lock.
 */

import assert from "node:assert/strict";
import type { Page } from "../cluster/copying.ts";
import type { Machine } from "./machine.ts";

/** BLCKSZ. */
const pageBytes = 8192;
/** RELSEG_SIZE: a longer relation goes on in another file. */
const filePages = 131_072;
/** `forkNames` (common/relpath.c). */
const forkSuffixes = ["", "_fsm", "_vm", "_init"];
/** `pd_checksum` in `PageHeaderData` (storage/bufpage.h), and `pd_upper`, which is 0 in a page that has never been used. */
const checksumAt = 8;
const upperAt = 14;

/** `BufferDesc` (storage/buf_internals.h) in words of 32 bits. */
const descriptorWords = 16;
const word = { tablespace: 0, database: 1, relation: 2, fork: 3, block: 4, index: 5, state: 6, contentLock: 13 };
/** `BM_DIRTY | BM_VALID`. */
const dirtyAndValid = (1 << 23) | (1 << 24);
/** `LW_VAL_EXCLUSIVE` (storage/lmgr/lwlock.c). */
const exclusive = 1 << 18;

/** Whether there is any page of a database in the buffers, changed or not: somebody has read its files. */
export function hasPages(machine: Machine, database: number): boolean {
  const { words, descriptors, count } = buffers(machine);
  for (let index = 0; index < count; index++)
    if (words[descriptors + index * descriptorWords + word.database] === database) return true;
  return false;
}

/** Those of a database in one tablespace; undefined while somebody is changing one. */
export function dirtyPages(
  machine: Machine,
  tablespace: number,
  database: number,
  checksums: boolean,
): Page[] | undefined {
  const { words, descriptors, blocks, count } = buffers(machine);
  const pages: Page[] = [];
  for (let index = 0; index < count; index++) {
    const at = descriptors + index * descriptorWords;
    assert(words[at + word.index] === index, "BufferDesc is not laid out as in PostgreSQL 18");
    if (words[at + word.tablespace] !== tablespace || words[at + word.database] !== database) continue;
    if ((words[at + word.state]! & dirtyAndValid) !== dirtyAndValid) continue;
    if ((words[at + word.contentLock]! & exclusive) !== 0) return undefined;
    const block = words[at + word.block]!;
    const segment = Math.floor(block / filePages);
    const name = `${words[at + word.relation]}${forkSuffixes[words[at + word.fork]!]}`;
    const bytes = pageWithChecksum(machine, blocks + index * pageBytes, block, checksums);
    pages.push({
      file: segment === 0 ? name : `${name}.${segment}`,
      position: (block % filePages) * pageBytes,
      bytes,
    });
  }
  return pages;
}

/** `descriptors` is an index into `words`, `blocks` an address. */
function buffers(machine: Machine) {
  const { words } = machine;
  const variable = (name: string) => words[machine.address(name) >> 2]!;
  const descriptors = variable("BufferDescriptors") >> 2;
  return { words, descriptors, blocks: variable("BufferBlocks"), count: variable("NBuffers") };
}

function pageWithChecksum(machine: Machine, address: number, block: number, checksums: boolean): Uint8Array {
  const bytes = machine.bytes.slice(address, address + pageBytes);
  const view = new DataView(bytes.buffer);
  if (!checksums || view.getUint16(upperAt, true) === 0) return bytes;
  view.setUint16(checksumAt, machine.function("pg_checksum_page")(address, block), true);
  return bytes;
}
