/**
 * What a server process has in use when its garbage has been collected: memory that it has grown by, if it has.
 *
 * Owns: asking it, with a signal, and reading its answer. Does not own: the process; `collect-garbage.ts` is loaded into it.
 * Invariant: nothing is left behind: the file of the answers is in a directory of `leftovers.ts`.
 */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { dropDirectory, makeDirectory } from "./leftovers.ts";

const patienceMs = 30_000;
/** The main thread and the engine. */
const threads = 2;

/** Of one process. */
export class HeldMemory {
  readonly #directory = makeDirectory();
  readonly #file = join(this.#directory, "held");
  /** For the start of the process: arguments of Node, and environment variables. */
  readonly nodeArguments: readonly string[] = ["--import", new URL("./collect-garbage.ts", import.meta.url).href];
  readonly environment = { HELD_MEMORY_FILE: this.#file };

  /**
   * In MB: on the heaps of all threads and in buffers; undefined if the process does not say. `nudge` has to ask the engine for
   * something, as its thread sleeps while nobody does.
   */
  async read(pid: number, nudge: () => Promise<unknown>): Promise<number | undefined> {
    if (process.platform === "win32") return undefined;
    rmSync(this.#file, { force: true });
    process.kill(pid, "SIGUSR2");
    for (const until = performance.now() + patienceMs; performance.now() < until; await sleep(20)) {
      await nudge();
      const lines = existsSync(this.#file) ? readFileSync(this.#file, "latin1").trim().split("\n") : [];
      if (lines.length >= threads) return lines.reduce((sum, line) => sum + Number(line.split(" ")[1]), 0) / 2 ** 20;
    }
    return undefined;
  }

  /** When the process has ended. */
  drop(): void {
    dropDirectory(this.#directory);
  }
}
