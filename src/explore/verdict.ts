/**
 * What a report means for a test: whether it fails, and what is said then.
 *
 * Owns: the words. Does not own: what was found (`explore.ts`).
 * Invariant: what is in doubt never passes as explored, unless only a part of the schedules was asked for.
 */
import type { ExploreOptions, ExploreReport } from "./report.ts";

/** Why the exploration fails, with the schedule that shows it; undefined if it does not. */
export function failureOf(
  report: ExploreReport,
  { strategy = "exhaustive", schedules, replay }: Pick<ExploreOptions, "strategy" | "schedules" | "replay">,
): string | undefined {
  const [first] = report.failing;
  const broken = Object.entries(report.failed).map(
    ([name, how]) => `the actor "${name}" failed in every schedule: ${how}`,
  );
  if (first) {
    const { length } = report.failing;
    const traced = first.trace === undefined ? [] : [`trace: pglite-devdb trace show ${first.trace}`];
    const head = `${length} of ${report.schedules} schedules ${length === 1 ? "fails" : "fail"}${ofOrders(report.orders)}; the first of them:`;
    return [...broken, head, first.table, `replay: "${first.decisions}"`, ...traced].join("\n");
  }
  if (report.complete) return undefined;
  if (broken.length > 0) return [...broken, passed(report)].join("\n");
  const doubts = doubtsOf(report);
  const isPart = typeof strategy === "object" || schedules !== undefined || replay !== undefined;
  if (isPart && report.schedules > 0 && doubts.length === 0) return undefined;
  const why = [...doubts, ...(report.stopped === undefined ? [] : [`it stopped: ${report.stopped}`])].join("; ");
  return `${passed(report)}, but not every one was run, or is sure: ${why || "no schedule was run"}`;
}

/** What was run, in a few words. */
export function passed({ schedules, orders }: ExploreReport): string {
  return `${schedules === 1 ? "1 schedule passes" : `${schedules} schedules pass`}${ofOrders(orders)}`;
}

function ofOrders(orders: number): string {
  return ` (${orders} ${orders === 1 ? "order" : "orders"} of the statements)`;
}

function doubtsOf({ silences, strays, diverged }: ExploreReport): string[] {
  return [
    [silences, "silences of actors that waited for something outside of the database"],
    [strays, "strays, statements of which it is not known who sent them"],
    [diverged, "schedules that took another path each time"],
  ].flatMap(([count, what]) => (count === 0 ? [] : [`${count} ${what}`]));
}
