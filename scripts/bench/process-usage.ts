/**
 * How much memory and CPU time a process has used, as Linux tells it.
 *
 * Owns: reading /proc. Elsewhere every answer is `undefined`.
 */
import { readdirSync, readFileSync } from "node:fs";

/** The peak resident size of a process in MB (VmHWM). */
export function peakMemoryMb(pid: number): number | undefined {
  return kilobytes(`/proc/${pid}/status`, /^VmHWM:\s+(\d+) kB/m);
}

/** The present resident size of a process in MB (VmRSS). */
export function residentMemoryMb(pid: number): number | undefined {
  return kilobytes(`/proc/${pid}/status`, /^VmRSS:\s+(\d+) kB/m);
}

/**
 * The present size of a process and its children in MB, shared memory counted once (the sum of Pss): the fair figure
 * for a server of many processes, where a sum of VmHWM would count its shared buffers once per process.
 */
export function familyMemoryMb(pid: number): number | undefined {
  const own = kilobytes(`/proc/${pid}/smaps_rollup`, /^Pss:\s+(\d+) kB/m);
  if (own === undefined) return undefined;
  return childrenOf(pid).reduce(
    (sum, child) => sum + (kilobytes(`/proc/${child}/smaps_rollup`, /^Pss:\s+(\d+) kB/m) ?? 0),
    own,
  );
}

/**
 * The CPU time of a process and its children in ms, of those that have ended, too; steps of 10 ms. Unlike a rate it says the
 * same on a machine that does other things, except for what these push out of the caches.
 */
export function familyCpuMs(pid: number): number | undefined {
  const own = cpuMs(pid);
  if (own === undefined) return undefined;
  return childrenOf(pid).reduce((sum, child) => sum + (cpuMs(child) ?? 0), own);
}

// utime, stime, cutime and cstime of proc_pid_stat(5), in the 100ths of a second of USER_HZ.
function cpuMs(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks) * 10, 0);
  } catch {
    return undefined;
  }
}

function childrenOf(pid: number): number[] {
  const all = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return all.map(Number).filter((other) => {
    try {
      const stat = readFileSync(`/proc/${other}/stat`, "latin1");
      return Number(stat.slice(stat.lastIndexOf(")") + 4).split(" ")[0]) === pid;
    } catch {
      return false; // it ended while we looked
    }
  });
}

function kilobytes(file: string, pattern: RegExp): number | undefined {
  try {
    const match = pattern.exec(readFileSync(file, "latin1"));
    return match ? Number(match[1]) / 1024 : undefined;
  } catch {
    return undefined;
  }
}
