/**
 * Telling which memory the JavaScript functions under PostgreSQL write to.
 *
 * Owns: what each of emscripten's functions writes. Does not own: the marks (`write-marks.ts`).
 * Invariant: a function that is not listed here is taken for one that writes anywhere; nothing is assumed of it.
 */

import type { Machine } from "./machine.ts";
import type { Imports } from "./wasm/web-assembly.ts";

type Call = (...values: number[]) => unknown;
/** Marks what a call with these arguments writes. */
type Writes = (machine: Machine, values: readonly number[]) => void;

/** Sizes of C structures, in bytes; those of emscripten's libc are not larger. */
const statBytes = 144;
const timeBytes = 64;

const nothing: Writes = () => undefined;

/** `length` bytes at the argument `pointer`. */
function at(pointer: number, length: number): Writes {
  return ({ written }, values) => written.add(values[pointer]! >>> 0, length);
}

/** The buffers of a vector (arguments 1 and 2), and the count at `counted`. */
function scattered(counted: number): Writes {
  return (machine, values) => {
    const vector = values[1]! >>> 2;
    for (let index = 0; index < values[2]!; index++) {
      machine.written.add(machine.words[vector + 2 * index]!, machine.words[vector + 2 * index + 1]!);
    }
    machine.written.add(values[counted]! >>> 0, 4);
  };
}

const writesOf: Readonly<Record<string, Writes>> = {
  clock_time_get: at(2, 8),
  fd_close: nothing,
  // They call PostgreSQL's side, which makes its own marks; PL/pgSQL calls them all the time.
  getTempRet0: nothing,
  setTempRet0: nothing,
  fd_pread: scattered(4),
  fd_pwrite: at(4, 4),
  fd_read: scattered(3),
  fd_seek: at(3, 8),
  fd_sync: nothing,
  fd_write: at(3, 4),
  random_get: (machine, [address, length]) => machine.written.add(address! >>> 0, length! >>> 0),
  emscripten_date_now: nothing,
  emscripten_get_now: nothing,
  emscripten_get_heap_max: nothing,
  // It moves no byte; the new bytes are nobody's yet.
  emscripten_resize_heap: nothing,
  exit: nothing,
  proc_exit: nothing,
  _abort_js: nothing,
  __assert_fail: nothing,
  _setitimer_js: nothing,
  _emscripten_runtime_keepalive_clear: nothing,
  _gmtime_js: at(1, timeBytes),
  _localtime_js: at(1, timeBytes),
  __syscall_chmod: nothing,
  __syscall_faccessat: nothing,
  __syscall_fadvise64: nothing,
  __syscall_fallocate: nothing,
  __syscall_fdatasync: nothing,
  __syscall_fstat64: at(1, statBytes),
  __syscall_ftruncate64: nothing,
  __syscall_lstat64: at(1, statBytes),
  __syscall_mkdirat: nothing,
  __syscall_newfstatat: at(2, statBytes),
  __syscall_openat: nothing,
  __syscall_renameat: nothing,
  __syscall_rmdir: nothing,
  __syscall_stat64: at(1, statBytes),
  __syscall_unlinkat: nothing,
};

/** `struct addrinfo` (netdb.h), and where it has the length of its address and points to it. */
const addressInfo = { bytes: 32, addressLength: 16, address: 20 } as const;

/** `getaddrinfo(node, service, hints, result)` allocates what it answers with. pg_hba.conf has several addresses for each start. */
function markAddressInfo({ words, written }: Machine, result: number): void {
  const info = words[result >>> 2]!;
  written.add(result, 4);
  written.add(info, addressInfo.bytes);
  written.add(words[(info + addressInfo.address) >>> 2]!, words[(info + addressInfo.addressLength) >>> 2]!);
}

/** The same functions, which mark what they write; `isTracked` names those that do so without it. */
export function trackWrites(
  functions: Imports[string],
  machine: Machine,
  isTracked: (field: string) => boolean,
): Imports[string] {
  return Object.fromEntries(
    Object.entries(functions).map(([field, value]) => {
      return [field, typeof value === "function" && !isTracked(field) ? tracked(field, value as Call, machine) : value];
    }),
  );
}

/** One function that marks what it writes. */
export function tracked(field: string, call: Call, machine: Machine): Call {
  const writes = writesOf[field];
  if (writes === nothing) return call;
  if (field === "getaddrinfo") {
    return (...values) => {
      const error = call(...values);
      if (error === 0) markAddressInfo(machine, values[3]! >>> 0);
      return error;
    };
  }
  if (!writes) {
    return (...values) => {
      machine.written.addUnknown();
      return call(...values);
    };
  }
  return (...values) => {
    writes(machine, values);
    return call(...values);
  };
}
