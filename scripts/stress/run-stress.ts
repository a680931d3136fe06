/**
 * A run of the stress: lives of a server on one directory, one after the other.
 *
 * Owns: how many lives there are, how each ends, and what a run found. Does not own: a life (`life.ts`), how a result reads.
 * Invariant: the directory is removed after a run without a failure, and stays after one with.
 */
import { dropDirectory, keepDirectory, makeDirectory } from "../bench/leftovers.ts";
import { Ledger } from "../kill-nine/ledger.ts";
import { Counts } from "./counts.ts";
import { type LifeOptions, live } from "./life.ts";
import type { StressOptions } from "./options.ts";
import type { Vitals } from "./vitals.ts";
import type { Run } from "./worker.ts";

/** What a run found. */
export interface StressResult {
  readonly counts: Counts;
  /** Of the longest life. */
  readonly vitals: Vitals | undefined;
  readonly seconds: number;
  /** The data directory, if it was kept. */
  readonly directory: string | undefined;
}

/** What a run tells while it runs. */
interface Listeners {
  readonly progress: (line: string) => void;
  readonly failure: (text: string) => void;
}

/** The share of the load and the end of each life. The last one only looks at what the others left, and ends cleanly. */
const lives: readonly { share: number; end: LifeOptions["end"] }[] = [
  { share: 0.15, end: "SIGKILL" },
  { share: 0.7, end: "SIGTERM" },
  { share: 0.15, end: "SIGKILL" },
  { share: 0, end: "SIGTERM" },
];

const longest = Math.max(...lives.map(({ share }) => share));

/** Before that, memory still grows to what the load needs. */
const judgedAfterMs = 4 * 60_000;

/** Runs all lives; a life that could not be gone through is the last one. */
export async function runStress(options: StressOptions, tell: Listeners): Promise<StressResult> {
  const began = performance.now();
  const root = makeDirectory();
  const directory = `${root}/data`;
  const counts = new Counts(tell.failure);
  const run: Run = { counts, log: new Ledger(), heard: new Ledger(), numbers: [] };
  let vitals: Vitals | undefined;
  for (const [number, { share, end }] of lives.entries()) {
    const loadMs = share * options.minutes * 60_000;
    const { seed, clients } = options;
    const seen = await live({ directory, seed, number, clients, loadMs, end, log: tell.progress }, run);
    if (!seen) break;
    if (share === longest) vitals = seen;
    if (seen.grows && loadMs > judgedAfterMs) counts.fail(`life ${number + 1}: memory grows, by ${seen.growth}`);
  }
  if (counts.failed > 0) keepDirectory(root);
  else dropDirectory(root);
  const seconds = (performance.now() - began) / 1000;
  return { counts, vitals, seconds, directory: counts.failed > 0 ? directory : undefined };
}
