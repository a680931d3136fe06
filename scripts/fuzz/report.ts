/**
 * What a run found, as text.
 *
 * Owns: the form of a failure and of the summary. Does not own: the figures.
 * Invariant: a failure has everything that is needed to see it again: seed, case, play, the conversation, a command.
 */
import type { FuzzOptions } from "./options.ts";
import { describePlay } from "./play.ts";
import type { Failure, FuzzResult } from "./run-fuzz.ts";
import type { Vitals } from "./server-under-test.ts";

const longestStory = 120;

/** One failure, in several lines. */
export function formatFailure({ seed, target }: FuzzOptions, failure: Failure): string {
  const { where, problems, isRepeatable, secondsIntoRun } = failure;
  const after = `after ${secondsIntoRun.toFixed(1)} s`;
  const list = problems.map((problem) => `  ! ${problem}`);
  if (where === undefined) return [`FAILED between cases, seed ${seed}, ${after}`, ...list].join("\n");
  const id = `${where.number}.${where.play}`;
  const again = isRepeatable ? "fails again alone on a fresh server" : "does not fail again alone on a fresh server";
  const story = describePlay(where.what);
  const shown = story.slice(0, longestStory).map((line) => `  ${line}`);
  const more = story.length > longestStory ? [`  … ${story.length - longestStory} more`] : [];
  const command = `npm run fuzz -- --seed ${seed} --case ${id}${target === "ours" ? "" : ` --target ${target}`}`;
  return [
    `FAILED seed ${seed}, case ${id} (${where.kind}), ${after}; ${again}`,
    ...list,
    ...shown,
    ...more,
    `  again: ${command}`,
  ].join("\n");
}

/** The summary of a run. */
export function formatSummary(options: FuzzOptions, result: FuzzResult): string {
  const { casesByKind, plays, seconds, baselineMs, slowest, vitals, failures } = result;
  const cases = [...casesByKind.values()].reduce((sum, count) => sum + count, 0);
  const byKind = [...casesByKind].map(([kind, count]) => `${kind} ${count}`).join(", ");
  const looks = [
    `start ${figures(vitals.start)}`,
    ...(vitals.warm ? [`warm ${figures(vitals.warm)}`] : []),
    `end ${figures(vitals.end)}`,
  ];
  return [
    `seed ${options.seed}: ${cases} cases, ${plays} plays in ${Math.round(seconds)} s against ${options.target}`,
    `cases: ${byKind || "none"}`,
    `probe: ${baselineMs.toFixed(1)} ms without load, slowest ${Math.round(slowest.ms)} ms (play ${slowest.where || "none"})`,
    `server: ${looks.join("; ")}`,
    failures.length === 0 ? "no failure" : `${failures.length} FAILED`,
  ].join("\n");
}

function figures({ memoryMb, handles }: Vitals): string {
  if (memoryMb === undefined) return "not known on this system";
  return `${Math.round(memoryMb)} MB, ${handles} handles`;
}
