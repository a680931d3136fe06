/**
 * The fuzzer of `npm run fuzz`, on the built command line in a process of its own, because what fails is one that hangs.
 *
 * Owns: what is expected of a run: that everybody is served, and not how soon, which hangs on the machine. Does not own: the
 * fuzzer, the seed, how many cases.
 */
import { expect } from "vitest";
import { readFuzzOptions } from "../../scripts/fuzz/options.ts";
import { formatFailure, formatSummary } from "../../scripts/fuzz/report.ts";
import { runFuzz } from "../../scripts/fuzz/run-fuzz.ts";

const target = process.env.TARGETS === "stock" ? "stock" : "ours";

/** Whatever clients say, cut off or leave unread, a new one is served; every kind of case comes. */
export async function checkFuzz(seed: string, cases: string): Promise<void> {
  const options = readFuzzOptions([
    "--seed",
    seed,
    "--cases",
    cases,
    "--target",
    target,
    "--failures",
    "3",
    "--late-after",
    "10000",
  ]);
  if (options === "help") throw new Error("the options ask for help");
  const stories: string[] = [];
  const result = await runFuzz(options, {
    progress: () => {},
    failure: (failure) => stories.push(formatFailure(options, failure)),
  });
  expect(stories.join("\n\n")).toBe("");
  expect(result.failures, formatSummary(options, result)).toEqual([]);
  expect(result.casesByKind.size).toBe(options.kinds.length);
}
