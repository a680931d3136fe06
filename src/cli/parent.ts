/**
 * The end of the process that started this one and held its stdin.
 *
 * Owns: noticing it. Does not own: what follows.
 * Invariant: nothing is read from a terminal or a file; a parent that only closes its end, or that leaves a server behind on
 * purpose (`nohup`, `&`), is not taken for dead.
 */
import { fstatSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** A process that dies closes its pipes a moment before its children get another parent. */
const patience = { tries: 20, pauseMs: 50 };

/** Calls `gone` when stdin is a pipe, the other end is closed, and this process has another parent than at its start. */
export function watchParent(gone: () => void): void {
  if (process.platform === "win32" || !isPipe()) return;
  const parent = process.ppid;
  const look = async (): Promise<void> => {
    for (let left = patience.tries; left > 0; left--) {
      if (process.ppid !== parent) return gone();
      await delay(patience.pauseMs, undefined, { ref: false });
    }
  };
  process.stdin.on("error", () => {}).once("close", () => void look());
  process.stdin.resume();
}

function isPipe(): boolean {
  try {
    const stdin = fstatSync(0);
    return stdin.isFIFO() || stdin.isSocket();
  } catch {
    return false;
  }
}
