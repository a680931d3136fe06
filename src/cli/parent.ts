/**
 * The end of the process that started this one and held its stdin, also by way of others (`npx`, `npm run`, `sh -c`).
 *
 * Owns: noticing it. Does not own: what follows.
 * Invariant: nothing is read from a terminal or a file; a parent that only closes its end, or that leaves a server behind on
 * purpose (`nohup`, `&`), is not taken for dead.
 */
import { fstatSync, readlinkSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { listProcesses } from "../system/process-list.ts";

/** A process that dies closes its pipes a moment before its children get another parent. */
const patience = { tries: 20, pauseMs: 50 };

/** Calls `gone` when stdin is a pipe, the other end is closed, and of the processes from this one to the pipe's owner one has another parent than at the start. */
export function watchParent(gone: () => void): void {
  if (process.platform === "win32" || !isPipe()) return;
  const line = lineToOwner();
  const look = async (): Promise<void> => {
    for (let left = patience.tries; left > 0; left--) {
      const parents = parentsNow();
      if (line.some((pid, i) => i + 1 < line.length && parents.get(pid) !== line[i + 1])) return gone();
      await delay(patience.pauseMs, undefined, { ref: false });
    }
  };
  process.stdin.on("error", () => {}).once("close", () => void look());
  process.stdin.resume();
}

const parentsNow = () => new Map(listProcesses().map(({ pid, parent }) => [pid, parent]));

/** This process, those above it that were given the same stdin, and the first that was not: it made the pipe. Where that cannot be seen, all above. */
function lineToOwner(): readonly number[] {
  const parents = parentsNow();
  const own = stdinOf("self");
  const line = [process.pid, process.ppid];
  for (let pid = process.ppid; pid > 1 && (own === undefined || stdinOf(pid) === own); ) {
    pid = parents.get(pid) ?? 0;
    if (pid > 1) line.push(pid);
  }
  return line;
}

function stdinOf(pid: number | "self"): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/fd/0`);
  } catch {
    return undefined;
  }
}

function isPipe(): boolean {
  try {
    const stdin = fstatSync(0);
    return stdin.isFIFO() || stdin.isSocket();
  } catch {
    return false;
  }
}
