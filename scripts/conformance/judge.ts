/**
 * Whether a permutation printed what it should.
 *
 * Owns: the comparison with the expected outputs and the known differences. Does not own: running, printing reports.
 * Invariant: a permutation passes only if its text is exactly that of the same permutation in one expected output.
 */
import type { Output } from "./expected-output.ts";
import type { KnownDifference } from "./known-differences.ts";
import { diffLines } from "./line-diff.ts";

/** How a permutation ended. */
export type Ending = "ran" | "failed" | "time over" | "connection lost" | "server died";

/** One permutation that was run. */
export interface PermutationRun {
  readonly name: string;
  readonly text: string;
  readonly ending: Ending;
  readonly ms: number;
}

/** One permutation that was judged. */
export interface Verdict extends PermutationRun {
  readonly outcome: "passed" | "known" | "failed";
  /** Why it may differ. */
  readonly reason?: string;
  /** All lines, marked, against the expected output that is nearest. Empty if it passed. */
  readonly diff: readonly string[];
}

/** Judges the permutation at `index` of its specification. */
export function judge(
  spec: string,
  index: number,
  run: PermutationRun,
  expected: readonly Output[],
  known: readonly KnownDifference[],
): Verdict {
  const texts = expected.flatMap(({ permutations }) => permutations[index] ?? []);
  if (run.ending === "ran" && texts.includes(run.text)) return { ...run, outcome: "passed", diff: [] };
  const diffs = (texts.length > 0 ? texts : [""]).map((text) => diffLines(text, run.text));
  const diff = diffs.reduce((best, next) => (changes(next) < changes(best) ? next : best));
  const reason = known.find((entry) => applies(entry, spec, run) && explains(entry, run.text, texts))?.reason;
  return reason === undefined ? { ...run, outcome: "failed", diff } : { ...run, outcome: "known", reason, diff };
}

function applies(entry: KnownDifference, spec: string, run: PermutationRun): boolean {
  return (
    run.ending === "ran" && entry.spec === spec && (entry.permutation === undefined || entry.permutation === run.name)
  );
}

function explains({ wording }: KnownDifference, actual: string, texts: readonly string[]): boolean {
  if (!wording) return true;
  return texts.some(
    (text) => wording.reduce((from, [before, after]) => from.replaceAll(before, after), text) === actual,
  );
}

function changes(diff: readonly string[]): number {
  return diff.filter((line) => !line.startsWith("  ")).length;
}
