/**
 * Work that waits until nobody wants anything of this thread.
 *
 * Owns: telling when that is. Does not own: the work. Invariant: waiting does not prolong the life of the thread.
 */

/** Nobody has asked for anything if the thread has computed no longer than `idleCpuMs` for `idleMs`. */
const idleMs = 1000;
const idleCpuMs = 5;

/** Calls `fn` as soon as the thread has been idle for a second. */
export function onceIdle(fn: () => void, before = cpuMs()): void {
  later(() => {
    const now = cpuMs();
    if (now - before > idleCpuMs) onceIdle(fn, now);
    else fn();
  }, idleMs);
}

/** Calls `fn` in the life of this thread. */
export function later(fn: () => void, ms: number): void {
  setTimeout(fn, ms).unref();
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
