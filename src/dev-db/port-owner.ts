/**
 * Who listens on a TCP port of this machine, as far as that can be read for nothing.
 *
 * Owns: the look into /proc. Does not own: what is said about it.
 * Invariant: it never fails and never waits for another process; where /proc is missing or hidden the answer is undefined.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename } from "node:path";

/** A process that holds a port. */
interface PortOwner {
  pid: number;
  /** The program's name without its directory, and the first words after it: 80 characters at most. */
  command: string;
}

/** Finds the process that listens on `port`, on Linux and for processes that this user may look into. */
export function findPortOwner(port: number): PortOwner | undefined {
  try {
    const sockets = new Set(listeningInodes(port).map((inode) => `socket:[${inode}]`));
    if (sockets.size === 0) return undefined;
    for (const entry of readdirSync("/proc")) {
      if (!/^\d+$/.test(entry) || !holdsOne(entry, sockets)) continue;
      const [program = "", ...words] = readFileSync(`/proc/${entry}/cmdline`, "utf8").split("\0").filter(Boolean);
      // A long path of the program would leave no room for what the reader knows it by.
      const command = [basename(program), ...words].join(" ");
      return { pid: Number(entry), command: command.length > 80 ? `${command.slice(0, 79)}…` : command };
    }
  } catch {
    // Not Linux, or a process that ended meanwhile: the owner stays unknown.
  }
  return undefined;
}

/** The socket inodes in state LISTEN (0A) on the port; the columns are those of proc(5), "/proc/net/tcp". */
function listeningInodes(port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((table) => {
    const rows = readFileSync(table, "utf8").trim().split("\n").slice(1);
    return rows.flatMap((row) => {
      const columns = row.trim().split(/\s+/);
      return columns[1]?.endsWith(suffix) && columns[3] === "0A" && columns[9] ? [columns[9]] : [];
    });
  });
}

function holdsOne(pid: string, sockets: ReadonlySet<string>): boolean {
  try {
    const directory = `/proc/${pid}/fd`;
    return readdirSync(directory).some((fd) => {
      try {
        return sockets.has(readlinkSync(`${directory}/${fd}`));
      } catch {
        return false;
      }
    });
  } catch {
    return false;
  }
}
