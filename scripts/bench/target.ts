/**
 * What the benchmark asks of a target.
 *
 * Owns: the interface. Does not own: the targets (`launched-target.ts`, `in-process-target.ts`), or the order of the
 * turns (`run-benchmark.ts`).
 * Invariant: a target's server and its load are two processes, except for `in-process`, which is PGlite in the load process.
 */
import type { RowName, TargetName } from "./catalogue.ts";
import type { CellResult } from "./cell.ts";

/** What it took to start; in ms. */
export interface Spawned {
  readonly elapsedMs: number;
  /** CPU time of the server's processes, as far as the system tells. */
  readonly cpuMs: number | undefined;
}

/** One column of the table. */
export interface Target {
  readonly name: TargetName;
  /** Starts what serves. Rejects with the reason when this machine cannot run it. */
  start(): Promise<void>;
  /** One cell of load. */
  run(row: RowName, seconds: number): Promise<CellResult>;
  /** A fresh process, up to the first row answered. */
  spawnToFirstRow(): Promise<Spawned>;
  /** Looks at memory that a peak kept by the system does not cover; called now and then outside of measured cells. */
  sampleMemory(): void;
  /** The peak in MB, as far as the system tells. */
  peakMb(): number | undefined;
  /** PostgreSQL's own version, for example `18.3`; undefined when it has none. */
  serverVersion(): Promise<string | undefined>;
  /** Ends and starts the server anew, after it fell silent. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}
