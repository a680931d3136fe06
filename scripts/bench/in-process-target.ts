/**
 * The target without a server: PGlite in its load process.
 *
 * Owns: that load process and the measurement of a start. Does not own: how several clients share one PGlite
 * (`engine-link.ts`).
 */
import { fileURLToPath } from "node:url";
import type { RowName } from "./catalogue.ts";
import type { CellResult } from "./cell.ts";
import { LoadDriver } from "./load-driver.ts";
import { familyCpuMs } from "./process-usage.ts";
import { ServerProcess } from "./server-process.ts";
import type { Spawned, Target } from "./target.ts";

/** PGlite without a socket. */
export class InProcessTarget implements Target {
  readonly name = "in-process";
  readonly #load = new LoadDriver();

  /** Boots PGlite by a first, short cell, so that no warm-up is spent on it. */
  async start(): Promise<void> {
    await this.run("unprepared", 0.05);
  }

  run(row: RowName, seconds: number): Promise<CellResult> {
    return this.#load.run({ row, seconds, endpoint: undefined, serverPid: undefined, strictness: "values" });
  }

  async spawnToFirstRow(): Promise<Spawned> {
    const start = performance.now();
    const child = new ServerProcess({
      file: process.execPath,
      args: [fileURLToPath(new URL("./in-process-first-row.ts", import.meta.url))],
      stopSignal: "SIGTERM",
      haltSignal: "SIGKILL",
    });
    await child.readyLine();
    const spawned = { elapsedMs: performance.now() - start, cpuMs: familyCpuMs(child.pid) };
    await child.stop();
    return spawned;
  }

  sampleMemory(): void {}

  peakMb(): number | undefined {
    return this.#load.peakMb();
  }

  async serverVersion(): Promise<string | undefined> {
    return undefined;
  }

  async restart(): Promise<void> {
    await this.#load.stop();
  }

  stop(): Promise<void> {
    return this.#load.stop();
  }
}
