/**
 * A short round of the fuzzer of `npm run fuzz`, with cases that do not change.
 *
 * The server is the built command line in a process of its own, because what fails here is one that hangs for good.
 */
import { expect, test } from "vitest";
import { readFuzzOptions } from "../../scripts/fuzz/options.ts";
import { formatFailure, formatSummary } from "../../scripts/fuzz/report.ts";
import { runFuzz } from "../../scripts/fuzz/run-fuzz.ts";

// Two rounds of the kinds: each comes at least twice.
const cases = process.env.FUZZ_CASES ?? "44";
const seed = process.env.SEED ?? "1";
const target = process.env.TARGETS === "stock" ? "stock" : "ours";

test(`whatever clients say, cut off or leave unread, a new one is served (SEED=${seed})`, async () => {
  const options = readFuzzOptions(["--seed", seed, "--cases", cases, "--target", target, "--failures", "3"]);
  if (options === "help") throw new Error("the options ask for help");
  const stories: string[] = [];
  const result = await runFuzz(options, {
    progress: () => {},
    failure: (failure) => stories.push(formatFailure(options, failure)),
  });
  expect(stories.join("\n\n")).toBe("");
  expect(result.failures, formatSummary(options, result)).toEqual([]);
  expect(result.casesByKind.size).toBe(options.kinds.length);
});
