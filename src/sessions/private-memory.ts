/**
 * Which part of the linear memory belongs to a session.
 *
 * Owns: the map of the memory. Does not own: saving and loading it (`image.ts`), the sessions' own addresses (`windows.ts`).
 * Layout: static data | C stack (8 MiB, grows down) | heap | shared memory | heap | windows. PGlite makes PostgreSQL's shared
 * memory with malloc, so it lies inside the heap, which ends where it did at the fork.
 * Invariant: everything in [sharedStart, sharedEnd) and in the control block of dynamic shared memory is the same for all
 * sessions and never saved. The dead part of the stack, below the stack pointer, is nobody's. All bounds are page bounds.
 */
import type { Machine } from "./machine.ts";

/** The bounds of all that is told apart here are multiples of it. */
const pageBytes = 4096;
/** The size of the C stack: emscripten's STACK_SIZE as PGlite is linked. Checked nowhere: `wasm-ld` puts it between the data and the heap. */
const stackBytes = 8 << 20;
/** `PGShmemMagic` (storage/pg_shmem.h), at the start of shared memory; its size is in the third word. */
const sharedMemoryMagic = 679834894;
/** `PG_DYNSHMEM_CONTROL_MAGIC` (storage/ipc/dsm.c), at the start of its control block. */
const dynamicControlMagic = 0x9a503d32;
/** The header and one entry of that control block, in bytes (`dsm_control_header`, `dsm_control_item`). */
const dynamicControlHeader = 12;
const dynamicControlItem = 24;

/** Addresses, all in bytes. */
export interface MemoryMap {
  readonly dataEnd: number;
  readonly stackEnd: number;
  readonly sharedStart: number;
  readonly sharedEnd: number;
  readonly controlStart: number;
  readonly controlEnd: number;
  /** Where the heap ended when the map was made: what a session allocates later lies elsewhere (`windows.ts`). */
  readonly heapEnd: number;
}

/** A range of addresses whose bounds are those of pages. */
export interface Range {
  readonly start: number;
  readonly end: number;
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
    dataEnd: dataEnd(machine),
    stackEnd: stackEnd(machine),
    sharedStart: found.start,
    sharedEnd: found.end,
    controlStart: control.start,
    // emscripten's mmap takes whole pages of 64 KiB.
    controlEnd: pageAfter(control.end),
    heapEnd: pageAfter(end),
  };
  for (const [name, address] of Object.entries(map)) {
    if (address % pageBytes !== 0)
      throw new Error(`${name} of PostgreSQL's memory is not at a page's start: ${address}`);
  }
  return map;
}

/** Where the static data ends. Its last page has the far end of the stack behind it, which is never reached. */
function dataEnd(machine: Machine): number {
  return pageAfter(machine.address("__heap_base") - stackBytes);
}

/** The first page's start at or after an address. */
function pageAfter(address: number): number {
  return Math.ceil(address / pageBytes) * pageBytes;
}

/** The memory that every session has at the same addresses, beside its stack: in ascending order, in whole pages. */
export function commonRanges(map: MemoryMap): Range[] {
  return [
    { start: 0, end: map.dataEnd },
    { start: map.stackEnd, end: map.sharedStart },
    { start: map.sharedEnd, end: map.controlStart },
    { start: map.controlEnd, end: map.heapEnd },
  ];
}

/** The end of what is saved and loaded as the stack: its last page has the heap's start behind it. */
export function stackEnd(machine: Machine): number {
  return pageAfter(machine.address("__heap_base"));
}

/** The end of the heap. */
export function programBreak(machine: Machine): number {
  return machine.words[machine.function("emscripten_get_sbrk_ptr")() >> 2]!;
}
