/**
 * A round of `npm run stress`: ten clients over TCP, the server killed twice.
 *
 * Owns: what is expected of it. Does not own: the stress, how long it is. The invariants themselves are seen red in
 * `stress-invariants.test.ts`.
 */
import { expect } from "vitest";
import { readStressOptions } from "../../../scripts/stress/options.ts";
import { formatStressReport } from "../../../scripts/stress/report.ts";
import { runStress } from "../../../scripts/stress/run-stress.ts";

/** Whatever the clients do, sums, log and notifications are exact, also after kills. */
export async function checkStress(seed: string, minutes: string): Promise<void> {
  const options = readStressOptions(["--seed", seed, "--minutes", minutes]);
  if (options === "help") throw new Error("the options ask for help");
  const result = await runStress(options, { progress: () => {}, failure: () => {} });
  const report = formatStressReport(options, result);
  expect(result.counts.failures, report).toEqual([]);
  expect(result.counts.checks, report).toBe(7);
  expect(result.counts.commits, report).toBeGreaterThan(20);
  expect(result.counts.notifications, report).toBeGreaterThan(0);
}
