/**
 * What else a machine does while it is measured.
 *
 * Owns: processes that compute all the time. Does not own: when (`run-benchmark.ts`).
 * Invariant: they end when `end` is called, and when their parent is gone, however it went.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { holdChild } from "./leftovers.ts";

/** How many processes compute. */
export const busyLoops = 2;

const loop = "const parent = process.ppid; while (process.ppid === parent);";

/** Starts them; `end` resolves when they are gone. */
export async function startBusyLoops(): Promise<{ end(): Promise<void> }> {
  const children = Array.from({ length: busyLoops }, () => {
    const child = spawn(process.execPath, ["-e", loop], { stdio: "ignore" });
    holdChild(child, "SIGKILL");
    return { child, started: once(child, "spawn"), ended: once(child, "exit") };
  });
  for (const { started } of children) await started;
  const end = async (): Promise<void> => {
    for (const { child } of children) child.kill("SIGKILL");
    for (const { ended } of children) await ended;
  };
  return { end };
}
