/**
 * What a run found, for a person and for a program.
 *
 * Owns: the lines while it runs, the summary, the shape of the JSON. Does not own: the judgement.
 * Invariant: every permutation that was run is counted once, and percentages are of those.
 */
import type { Verdict } from "./judge.ts";
import type { KnownDifference } from "./known-differences.ts";
import { shortenDiff } from "./line-diff.ts";

/** The verdicts of one specification. */
export interface SpecReport {
  readonly name: string;
  /** Why it could not be read, or its head differs; undefined if neither. */
  readonly problem: string | undefined;
  readonly verdicts: readonly Verdict[];
}

/** What is known about a run as a whole. */
export interface RunReport {
  readonly server: string;
  readonly seed: number;
  readonly specs: readonly SpecReport[];
  readonly breakdowns: { readonly died: number; readonly unusable: number };
  readonly seconds: number;
}

/** One line for a specification. */
export function specLine({ name, problem, verdicts }: SpecReport): string {
  const { passed, known, total } = count(verdicts);
  const endings = new Map<string, number>();
  for (const { outcome, ending } of verdicts) {
    if (outcome === "failed") endings.set(ending, (endings.get(ending) ?? 0) + 1);
  }
  const notes = [
    ...(known > 0 ? [`${known} known`] : []),
    ...[...endings].map(([ending, times]) => `${times} ${ending === "ran" ? "different" : ending}`),
    ...(problem === undefined ? [] : [problem]),
  ];
  const seconds = verdicts.reduce((sum, { ms }) => sum + ms, 0) / 1000;
  const mark = passed + known === total && problem === undefined ? "ok  " : "FAIL";
  const figures = `${passed}/${total}`.padStart(9);
  return `${mark} ${name.padEnd(34)} ${figures} ${seconds.toFixed(1).padStart(7)} s  ${notes.join(", ")}`.trimEnd();
}

/** The differences of the first failed permutations. */
export function differences(specs: readonly SpecReport[], most: number): string {
  const failed = specs.flatMap(({ name, verdicts }) =>
    verdicts.filter(({ outcome }) => outcome === "failed").map((verdict) => ({ name, verdict })),
  );
  const shown = failed.slice(0, most).map(({ name, verdict }) => {
    const ending = verdict.ending === "ran" ? "" : ` (${verdict.ending})`;
    const lines = shortenDiff(verdict.diff, 2);
    const cut = lines.length > 40 ? [...lines.slice(0, 40), `  … ${lines.length - 40} more lines`] : lines;
    return [`--- ${name}: ${verdict.name}${ending}   (- expected, + printed)`, ...cut].join("\n");
  });
  if (failed.length > most && most > 0) shown.push(`… and ${failed.length - most} more failed permutations`);
  return shown.join("\n\n");
}

/** The table at the end. */
export function summary(run: RunReport, known: readonly KnownDifference[]): string {
  const verdicts = run.specs.flatMap((spec) => spec.verdicts);
  const { passed, known: explained, failed, total } = count(verdicts);
  const whole = run.specs.filter(
    (spec) => spec.problem === undefined && count(spec.verdicts).passed === spec.verdicts.length,
  );
  const percent = (part: number, of: number): string =>
    of === 0 ? "" : `${((100 * part) / of).toFixed(1)} %`.padStart(9);
  const row = (what: string, part: number, of: number): string =>
    `  ${what.padEnd(34)} ${`${part}/${of}`.padStart(9)} ${percent(part, of)}`;
  const reasons = new Map<string, number>();
  for (const { reason } of verdicts) if (reason !== undefined) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  return [
    run.server,
    row("permutations passed", passed, total),
    row("known differences", explained, total),
    row("failed", failed, total),
    row("specifications passed whole", whole.length, run.specs.length),
    `  the server died ${run.breakdowns.died} times, had to be replaced ${run.breakdowns.unusable} times; ${run.seconds.toFixed(0)} s; seed ${run.seed}`,
    ...[...reasons].map(([reason, times]) => `  known (${times}): ${reason}`),
    ...staleEntries(run, known).map((entry) => `  no longer differs, take it off the list: ${entry}`),
  ].join("\n");
}

/** Whether nothing is left to explain. */
export function isClean({ specs, breakdowns }: RunReport): boolean {
  const failed = specs.some(({ problem, verdicts }) => problem !== undefined || count(verdicts).failed > 0);
  return !failed && breakdowns.died + breakdowns.unusable === 0;
}

/** Everything, for a program. */
export function reportAsJson(run: RunReport): string {
  const specs = run.specs.map(({ name, problem, verdicts }) => ({
    name,
    problem,
    ...count(verdicts),
    permutations: verdicts.map(({ text, ...verdict }) => ({
      ...verdict,
      ...(verdict.outcome === "passed" ? {} : { text }),
    })),
  }));
  const { died, unusable } = run.breakdowns;
  const totals = count(run.specs.flatMap((spec) => spec.verdicts));
  return `${JSON.stringify({ server: run.server, seed: run.seed, seconds: run.seconds, died, unusable, ...totals, specs }, null, 1)}\n`;
}

function count(verdicts: readonly Verdict[]) {
  const of = (outcome: Verdict["outcome"]): number => verdicts.filter((verdict) => verdict.outcome === outcome).length;
  return { total: verdicts.length, passed: of("passed"), known: of("known"), failed: of("failed") };
}

function staleEntries({ specs }: RunReport, known: readonly KnownDifference[]): string[] {
  return known.flatMap(({ spec, permutation, reason }) => {
    const verdicts = specs.find(({ name }) => name === spec)?.verdicts ?? [];
    const meant = verdicts.filter(({ name }) => permutation === undefined || permutation === name);
    const isStale = meant.length > 0 && meant.every(({ outcome }) => outcome === "passed");
    return isStale ? [`${spec}${permutation === undefined ? "" : ` (${permutation})`}: ${reason}`] : [];
  });
}
