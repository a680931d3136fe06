/**
 * What a server process needs while it works: memory, and the size of its WAL.
 *
 * Owns: the samples of one process, and whether its memory grows. Does not own: the process.
 * Invariant: a sample that the system does not give is left out.
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { residentMemoryMb } from "../bench/process-usage.ts";

/** One look. */
interface Sample {
  readonly seconds: number;
  readonly memoryMb: number;
  readonly walMb: number;
}

/** How much larger the last third may be than the middle one. */
const mostGrowth = 1.2;

/** See the head of the file. */
export class Vitals {
  readonly samples: Sample[] = [];
  /** At each look: what is in use without garbage, in MB. */
  readonly heldMb: number[] = [];
  readonly #began = performance.now();
  readonly #timer: NodeJS.Timeout;

  constructor(pid: number, directory: string, everyMs: number) {
    const look = () => {
      const memoryMb = residentMemoryMb(pid);
      if (memoryMb === undefined) return;
      const seconds = (performance.now() - this.#began) / 1000;
      this.samples.push({ seconds, memoryMb, walMb: sizeMb(join(directory, "pg_wal")) });
    };
    this.#timer = setInterval(look, everyMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** The median memory of the last third by that of the middle third; undefined with too few samples. */
  get growth(): number | undefined {
    const third = Math.floor(this.samples.length / 3);
    if (third < 2) return undefined;
    const sizes = this.samples.map(({ memoryMb }) => memoryMb);
    return median(sizes.slice(-third)) / median(sizes.slice(-2 * third, -third));
  }

  /** Whether it grows more than a server may that has been at work for some time. */
  get grows(): boolean {
    return (this.growth ?? 1) > mostGrowth;
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

function sizeMb(directory: string): number {
  let bytes = 0;
  for (const name of readdirSync(directory)) {
    // It may be recycled while we look.
    bytes += statSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0;
  }
  return bytes / 2 ** 20;
}
