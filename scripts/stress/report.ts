/**
 * What a run found, as text.
 *
 * Owns: the form of the report. Does not own: the figures.
 * Invariant: a report with failures has the command that repeats it.
 */
import type { StressOptions } from "./options.ts";
import type { StressResult } from "./run-stress.ts";
import type { Vitals } from "./vitals.ts";

const coarse = 12;

/** The report of a run. */
export function formatStressReport(options: StressOptions, result: StressResult): string {
  const { counts, vitals, seconds, directory } = result;
  const { seed, minutes, clients } = options;
  const again = `npm run stress -- --seed ${seed} --minutes ${minutes} --clients ${clients}`;
  const errors = (state: string) => counts.errors.get(state) ?? 0;
  return [
    `seed ${seed}: ${minutes} minutes of load, ${clients} clients, ${Math.round(seconds)} s in all`,
    `statements: ${counts.statements} in ${counts.sessions} sessions`,
    `transactions: ${counts.commits} committed, ${counts.rollbacks} rolled back, ${counts.unknown} whose answer was lost`,
    `deadlocks ${errors("40P01")}, serialization failures ${errors("40001")}`,
    `disturbed by: ${counts.cancels} cancels (57014 ${errors("57014")} times, with statement_timeout), ${counts.hangUps} hang-ups, ${counts.terminations} terminations`,
    `server: ${counts.kills} times SIGKILL, ${counts.cleanEnds} times SIGTERM`,
    `checks: ${counts.checks} rounds; amcheck on ${counts.indexes} indexes and ${counts.tables} tables; ${counts.notifications} notifications heard`,
    `kinds: ${list(counts.kinds)}`,
    `expected errors: ${list(counts.errors)}`,
    ...(vitals ? series(vitals) : []),
    ...(counts.failed === 0
      ? ["no failure"]
      : [
          `${counts.failed} FAILED`,
          ...counts.failures.map((text) => `! ${text}`),
          `  again: ${again}`,
          `  data directory: ${directory}`,
        ]),
  ].join("\n");
}

function list(counts: ReadonlyMap<string, number>): string {
  const sorted = [...counts].sort(([, a], [, b]) => b - a);
  return sorted.map(([name, count]) => `${name} ${count}`).join(", ") || "none";
}

/** The longest life of a server, in about a dozen looks. */
function series({ samples, growth, heldMb }: Vitals): string[] {
  const step = Math.max(1, Math.ceil(samples.length / coarse));
  const shown = samples.filter((_, index) => index % step === 0 || index === samples.length - 1);
  const grown = growth === undefined ? "too few samples" : `last third by middle third ${growth.toFixed(2)}`;
  return [
    `memory in MB: ${shown.map(({ seconds, memoryMb }) => `${Math.round(memoryMb)} at ${Math.round(seconds)} s`).join(", ")} (${grown})`,
    `in use without garbage in MB: ${heldMb.map(Math.round).join(", ")}`,
    `pg_wal in MB: ${shown.map(({ walMb }) => Math.round(walMb)).join(", ")}`,
  ];
}
