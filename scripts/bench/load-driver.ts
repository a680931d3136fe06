/**
 * The parent's side of a load process.
 *
 * Owns: starting it, one cell at a time, its end. Does not own: the load.
 * Invariant: a cell always ends: with a result, or with a rejection when the load process reports a problem, dies, or
 * takes a minute longer than asked for (then it is killed, and the next cell gets a new one).
 */
import { type ChildProcess, fork } from "node:child_process";
import type { CellResult } from "./cell.ts";
import { holdChild } from "./leftovers.ts";
import type { CellOrder, CellReply } from "./load-process.ts";
import { peakMemoryMb } from "./process-usage.ts";

const graceMs = 60_000;

/** Runs cells in a child process, which is started at the first one. */
export class LoadDriver {
  #child: ChildProcess | undefined;
  #peakMb = 0;

  /** Runs one cell. */
  async run(order: CellOrder): Promise<CellResult> {
    const child = this.#running();
    let timer: NodeJS.Timeout | undefined;
    const reply = await new Promise<CellReply>((resolve) => {
      timer = setTimeout(() => resolve({ problem: "the cell did not end" }), order.seconds * 1000 + graceMs);
      child.once("message", (message) => resolve(message as CellReply));
      child.once("exit", (code, signal) => resolve({ problem: `the load process ended (${signal ?? code})` }));
      child.send(order);
    });
    clearTimeout(timer);
    child.removeAllListeners("message").removeAllListeners("exit");
    if ("result" in reply) return reply.result;
    await this.stop();
    throw new Error(reply.problem);
  }

  /** The highest peak of the load processes so far: for a target without a server, that is where the engine is. */
  peakMb(): number | undefined {
    const now = this.#child?.pid === undefined ? undefined : peakMemoryMb(this.#child.pid);
    this.#peakMb = Math.max(this.#peakMb, now ?? 0);
    return this.#peakMb || undefined;
  }

  /** Ends the load process. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.peakMb();
    this.#child = undefined;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL"); // it holds nothing but memory and sockets
    await exited;
  }

  #running(): ChildProcess {
    if (this.#child === undefined) {
      this.#child = fork(new URL("./load-process.ts", import.meta.url), {
        stdio: ["ignore", "inherit", "inherit", "ipc"],
      });
      holdChild(this.#child, "SIGKILL");
    }
    return this.#child;
  }
}
