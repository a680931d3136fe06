/**
 * A short round of `npm run stress`, with choices that do not change: ten clients over TCP, the server killed twice.
 *
 * The invariants themselves are seen red in `stress-invariants.test.ts`.
 */
import { expect, test } from "vitest";
import { readStressOptions } from "../../scripts/stress/options.ts";
import { formatStressReport } from "../../scripts/stress/report.ts";
import { runStress } from "../../scripts/stress/run-stress.ts";
import { requireIsolatedSessions } from "./support/isolated.ts";

const minutes = process.env.STRESS_MINUTES ?? "0.06";
const seed = process.env.SEED ?? "1";

test(`whatever ten clients do, sums, log and notifications are exact, also after kills (SEED=${seed})`, async (context) => {
  requireIsolatedSessions(context);
  const options = readStressOptions(["--seed", seed, "--minutes", minutes]);
  if (options === "help") throw new Error("the options ask for help");
  const result = await runStress(options, { progress: () => {}, failure: () => {} });
  const report = formatStressReport(options, result);
  expect(result.counts.failures, report).toEqual([]);
  expect(result.counts.checks, report).toBe(7);
  expect(result.counts.commits, report).toBeGreaterThan(20);
  expect(result.counts.notifications, report).toBeGreaterThan(0);
});
