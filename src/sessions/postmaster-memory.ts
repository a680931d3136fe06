/**
 * The memory of which all processes of PostgreSQL are forks.
 *
 * Owns: making what is in a machine's memory that of the postmaster, and what is behind it the processes' own. Does not own: when
 * (`boot.ts`, `snapshot/restore.ts`), one process's part (`image.ts`, `windows.ts`).
 */
import { Granules } from "./granules.ts";
import { Template } from "./image.ts";
import { LateLibraries } from "./late-libraries.ts";
import type { Machine } from "./machine.ts";
import { type MemoryMap, programBreak } from "./private-memory.ts";
import { Windows } from "./windows.ts";

/** Addresses for the data of libraries that are loaded later: those of PGlite's own extensions take 0.9 MB together. */
const libraryBytes = 1 << 20;
/** Engine: the most that PGlite's memory can be. */
const mostMemoryBytes = 2 ** 31;

/** What there is when a process can be forked. */
export interface PostmasterMemory {
  readonly map: MemoryMap;
  readonly template: Template;
  readonly windows: Windows;
}

/** Takes the template of the memory as it is now. `limit` is where addresses end. */
export function becomePostmaster(machine: Machine, map: MemoryMap, limit = mostMemoryBytes): PostmasterMemory {
  const room = { start: map.heapEnd, end: map.heapEnd + libraryBytes };
  const granules = new Granules(machine, map, alwaysWritten(machine), 0, room);
  machine.lateLibraries = new LateLibraries(machine, granules, room);
  const memory = {
    ensure: (bytes: number) => machine.bytes.length >= bytes || machine.resize(bytes) !== 0,
    clear: (start: number, length: number) => granules.code.clear(start, length),
    get programBreak() {
      return programBreak(machine);
    },
    set programBreak(address: number) {
      machine.setWord(machine.function("emscripten_get_sbrk_ptr")(), address);
    },
  };
  return { map, template: new Template(machine, granules), windows: new Windows(memory, room.end, limit) };
}

/** What another thread writes to: the watchdog asks the running session to let the others run. */
function alwaysWritten(machine: Machine): number[] {
  return [machine.address("InterruptPending")];
}
