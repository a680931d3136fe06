/**
 * The counts of a storm.
 *
 * Owns: adding up. Does not own: the judgement of a query (`judge.ts`).
 * Invariant: total is right plus all corruptions, in the whole and in every part.
 */
import { type Corruption, corruptions } from "./judge.ts";
import type { JudgedQuery } from "./storm-client.ts";

/** What came of a number of queries. */
export interface Counts {
  total: number;
  right: number;
  /** All that were not right. */
  corrupted: number;
  kinds: Record<Corruption, number>;
}

/** The counts of a storm, in the whole and by shape and split, with the first example of each kind. */
export interface Tally extends Counts {
  shapes: Record<string, Counts>;
  splits: Record<string, Counts>;
  examples: Partial<Record<Corruption, string>>;
  /** How often the server did not let a client in; not part of the other counts. */
  refusedLogins: number;
}

/** An empty tally. */
export function emptyTally(): Tally {
  return { ...emptyCounts(), shapes: {}, splits: {}, examples: {}, refusedLogins: 0 };
}

/** Adds a query. */
export function addQuery(tally: Tally, { client, query, shape, split, verdict }: JudgedQuery): void {
  tally.shapes[shape] ??= emptyCounts();
  tally.splits[split] ??= emptyCounts();
  for (const counts of [tally, tally.shapes[shape], tally.splits[split]]) {
    counts.total++;
    if (verdict.kind === "right") {
      counts.right++;
    } else {
      counts.corrupted++;
      counts.kinds[verdict.kind]++;
    }
  }
  if (verdict.kind === "right") return;
  tally.examples[verdict.kind] ??= `client ${client}, query ${query} (${shape}, ${split}): ${verdict.detail}`;
}

function emptyCounts(): Counts {
  const kinds = Object.fromEntries(corruptions.map((kind) => [kind, 0])) as Record<Corruption, number>;
  return { total: 0, right: 0, corrupted: 0, kinds };
}
