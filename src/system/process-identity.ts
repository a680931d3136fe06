/**
 * Which process something was, so that it can be asked later whether it still runs.
 *
 * Owns: the identity of a process, and whether one that was written down is alive. Does not own: what depends on it
 * (`../engine/data-directory/directory-lock.ts`).
 * Invariant: a process is called dead only if that is certain from here; a pid alone is never taken for a process that
 * got the same number later, where the system tells when a process started.
 */
import { execFile } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/** A process in a way that no other one can be mistaken for. Text that the system does not tell is empty. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, in the system's own form; only to be compared with another reading of the same system. */
  readonly startedAt: string;
  readonly host: string;
  /** The machine as installed; empty in most containers. */
  readonly machine: string;
  /** The run of the kernel since it booted: the same in all containers of a machine. */
  readonly boot: string;
  /** In which pids are unique: a container has its own. */
  readonly pidNamespace: string;
}

/** `unseen`: it may be alive where this process cannot look, in a container or on another machine. */
export type Liveness = "alive" | "dead" | "unseen";

/** This process. */
export async function ownIdentity(): Promise<ProcessIdentity> {
  return {
    pid: process.pid,
    startedAt: await readStart(process.pid),
    host: hostname(),
    machine: readText("/etc/machine-id"),
    boot: process.platform === "darwin" ? await printed("sysctl", "-n", "kern.bootsessionuuid") : readBoot(),
    pidNamespace: readPidNamespace(),
  };
}

/**
 * Whether a process that was written down is alive. `self` is the identity of this process. Where two machines have the
 * same host name, the same machine id or none, and different boots, they are taken for one machine that was booted
 * again.
 */
export async function judgeLiveness(other: ProcessIdentity, self: ProcessIdentity): Promise<Liveness> {
  const sameName = other.host === self.host && other.machine === self.machine;
  if (other.boot !== self.boot) return sameName ? "dead" : "unseen";
  if (other.boot === "" && !sameName) return "unseen";
  if (other.pidNamespace !== self.pidNamespace) return "unseen";
  return (await isRunning(other)) ? "alive" : "dead";
}

/** Whether the two saw the same kernel, since the same boot. */
export function sharesKernel(one: ProcessIdentity, other: ProcessIdentity): boolean {
  return one.boot !== "" && one.boot === other.boot;
}

/** Whether a process with this pid is there, whoever owns it; a zombie is. */
export function pidExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

async function isRunning({ pid, startedAt }: ProcessIdentity): Promise<boolean> {
  if (!pidExists(pid)) return false;
  const now = await readStart(pid);
  // A system that hides other users' processes tells nothing; then the pid has to do.
  if (now === "" || startedAt === "") return true;
  return now === startedAt && !isZombie(pid);
}

async function readStart(pid: number): Promise<string> {
  if (process.platform === "win32") return "";
  return statField(pid, 22) ?? startedAtByPs(pid);
}

/** When a process started, as `ps` prints it in UTC; empty if it does not. For systems without /proc. */
export async function startedAtByPs(pid: number): Promise<string> {
  return printed("ps", "-o", "lstart=", "-p", String(pid));
}

function isZombie(pid: number): boolean {
  return /^[ZX]$/.test(statField(pid, 3) ?? "");
}

/** A field of /proc/PID/stat by its number in proc(5). */
function statField(pid: number, number: number): string | undefined {
  const stat = readText(`/proc/${pid}/stat`);
  // The second field, the name in parentheses, may hold spaces and parentheses itself.
  return stat === "" ? undefined : stat.slice(stat.lastIndexOf(")") + 2).split(" ")[number - 3];
}

function readBoot(): string {
  return readText("/proc/sys/kernel/random/boot_id");
}

function readPidNamespace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return "";
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}

function printed(command: string, ...args: readonly string[]): Promise<string> {
  const environment = { ...process.env, LC_ALL: "C", TZ: "UTC" };
  return new Promise((resolve) => {
    execFile(command, args, { env: environment, timeout: 5_000 }, (error, stdout) =>
      resolve(error ? "" : stdout.trim()),
    );
  });
}
