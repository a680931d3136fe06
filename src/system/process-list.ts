/**
 * The processes of this machine: their parents, groups and terminals.
 *
 * Owns: reading them from /proc or ps. Does not own: the use of the list.
 * Invariant: reading never throws. A process that ends during the reading may be missing. On Windows the list is empty.
 */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/** A process. */
interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  /** The foreground process group of its terminal. */
  readonly foreground: number;
  readonly isZombie: boolean;
}

/** All processes. */
export function listProcesses(): readonly ProcessEntry[] {
  if (process.platform === "win32") return [];
  if (process.platform === "linux")
    return readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) ? read(name) : []));
  const { stdout } = spawnSync("ps", ["-A", "-o", "pid=,ppid=,pgid=,tpgid=,state="], { encoding: "utf8" });
  return (stdout ?? "").split("\n").flatMap((line) => {
    const [pid, parent, group, foreground, state = ""] = line.trim().split(/\s+/);
    return pid ? entry([pid, parent, group, foreground], state) : [];
  });
}

function read(pid: string): ProcessEntry | [] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // After the name, which may have spaces: state, parent, group, session, terminal, the terminal's group.
    const [state = "", parent, group, , , foreground] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return entry([pid, parent, group, foreground], state);
  } catch {
    // It has ended.
    return [];
  }
}

function entry(numbers: readonly (string | undefined)[], state: string): ProcessEntry {
  const [pid, parent, group, foreground] = numbers.map(Number) as [number, number, number, number];
  return { pid, parent, group, foreground, isZombie: state.startsWith("Z") };
}
