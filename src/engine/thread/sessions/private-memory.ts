/**
 * Which part of the linear memory belongs to a session.
 *
 * Owns: the map of the memory. Does not own: saving and loading it (`image.ts`).
 * Layout: constants | static data | C stack (8 MiB, grows down) | heap | shared memory | heap | break. PGlite makes
 * PostgreSQL's shared memory with malloc, so it lies inside the heap; what malloc gave out later lies above it.
 * Invariant: everything in [sharedStart, sharedEnd) and in the control block of dynamic shared memory is the same for all
 * sessions and never saved. The dead part of the stack, below the stack pointer, is nobody's. All bounds are page bounds.
 */
import type { Machine } from "./machine.ts";
import { pageBytes } from "./page-pool.ts";

/** The size of the C stack: emscripten's STACK_SIZE as PGlite is linked. The self-check of `locateMemory` depends on it. */
const stackBytes = 8 << 20;
/** `PGShmemMagic` (storage/pg_shmem.h), at the start of shared memory; its size is in the third word. */
const sharedMemoryMagic = 679834894;
/** `PG_DYNSHMEM_CONTROL_MAGIC` (storage/ipc/dsm.c), at the start of its control block. */
const dynamicControlMagic = 0x9a503d32;
/** The header and one entry of that control block, in bytes (`dsm_control_header`, `dsm_control_item`). */
const dynamicControlHeader = 12;
const dynamicControlItem = 24;

/** Pages in front of the first changed one that are not taken for constant. */
const constantsMargin = 16 * pageBytes;

/** Addresses, all in bytes. */
export interface MemoryMap {
  readonly dataStart: number;
  readonly dataEnd: number;
  readonly sharedStart: number;
  readonly sharedEnd: number;
  readonly controlStart: number;
  readonly controlEnd: number;
}

/** Reads the map of a machine in which shared memory exists and `MyProc` lies in it. Throws if anything is not unique. */
export function locateMemory(machine: Machine): MemoryMap {
  const { words } = machine;
  const end = programBreak(machine);
  const myProc = words[machine.address("MyProc") >> 2]!;
  const shared: { start: number; end: number }[] = [];
  for (let at = 0; at < end >> 2; at += 2) {
    if (words[at] !== sharedMemoryMagic) continue;
    const start = at << 2;
    if (myProc >= start && myProc < start + words[at + 2]!) shared.push({ start, end: start + words[at + 2]! });
  }
  const [found] = shared;
  if (!found || shared.length !== 1) throw new Error(`${shared.length} places look like PostgreSQL's shared memory`);
  const controls: { start: number; end: number }[] = [];
  for (let at = found.end >> 2; at < end >> 2; at++) {
    if (words[at] !== dynamicControlMagic) continue;
    const [used, capacity] = [words[at + 1]!, words[at + 2]!];
    if (used > capacity || capacity < 64 || capacity > 100_000) continue;
    controls.push({ start: at << 2, end: (at << 2) + dynamicControlHeader + dynamicControlItem * capacity });
  }
  const [control] = controls;
  if (!control || controls.length !== 1) {
    throw new Error(`${controls.length} places look like the control block of dynamic shared memory`);
  }
  const map = {
    dataStart: 0,
    dataEnd: dataEnd(machine),
    sharedStart: found.start,
    sharedEnd: found.end,
    controlStart: control.start,
    // emscripten's mmap takes whole pages of 64 KiB.
    controlEnd: pageAfter(control.end),
  };
  for (const [name, address] of Object.entries(map)) {
    if (address % pageBytes !== 0)
      throw new Error(`${name} of PostgreSQL's memory is not at a page's start: ${address}`);
  }
  return map;
}

/** Where the static data ends. Its last page has the far end of the stack behind it, which is never reached. */
export function dataEnd(machine: Machine): number {
  return pageAfter(machine.address("__heap_base") - stackBytes);
}

/**
 * The map without the constants at the start of the static data, in a machine that has run PostgreSQL for a while.
 *
 * The linker puts constants first. PostgreSQL's start changes variables all over the rest, so what is in front of the first
 * changed page, with a margin, is constant. The load tests check that it stays so (`constantsAreUntouched`).
 */
export function withoutConstants(map: MemoryMap, machine: Machine): MemoryMap {
  const { initialData } = machine;
  let at = pageBytes;
  while (at < map.dataEnd && samePage(machine, initialData, at)) at += pageBytes;
  return { ...map, dataStart: Math.max(map.dataStart, at - constantsMargin) };
}

/** Whether the part of the static data that is taken for constant is as the binary has it. */
export function constantsAreUntouched(map: MemoryMap, machine: Machine): boolean {
  for (let at = pageBytes; at < map.dataStart; at += pageBytes) {
    if (!samePage(machine, machine.initialData, at)) return false;
  }
  return true;
}

function samePage(machine: Machine, initialData: Uint8Array, at: number): boolean {
  const page = initialData.subarray(at, at + pageBytes);
  return Buffer.compare(machine.bytes.slice(at, at + pageBytes), page) === 0;
}

/** The first page's start at or after an address. */
function pageAfter(address: number): number {
  return Math.ceil(address / pageBytes) * pageBytes;
}

/** The ranges of a session's memory, given its stack pointer and the end of its heap. */
export function privateRanges(map: MemoryMap, stack: number, heapEnd: number): { start: number; end: number }[] {
  return [
    { start: map.dataStart, end: map.dataEnd },
    { start: Math.floor(stack / pageBytes) * pageBytes, end: map.sharedStart },
    { start: map.sharedEnd, end: map.controlStart },
    { start: map.controlEnd, end: pageAfter(heapEnd) },
  ];
}

/** The end of the heap. */
export function programBreak(machine: Machine): number {
  return machine.words[machine.function("emscripten_get_sbrk_ptr")() >> 2]!;
}
