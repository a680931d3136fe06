import { expect, test } from "vitest";
import { cutOutput } from "../../scripts/conformance/expected-output.ts";
import { judge, type PermutationRun } from "../../scripts/conformance/judge.ts";
import { printResult } from "../../scripts/conformance/result-table.ts";

const main = cutOutput(
  "Parsed test spec with 1 sessions\n\nstarting permutation: a\nstep a: x\n1\n\nstarting permutation: b\n2\n",
);
const variant = cutOutput(
  "Parsed test spec with 1 sessions\n\nstarting permutation: a\nother\n\nstarting permutation: b\n2\n",
);
const run = (text: string, ending: PermutationRun["ending"] = "ran"): PermutationRun => {
  return { name: "a", text: `\nstarting permutation: a\n${text}\n`, ending, ms: 1 };
};

test("an output is cut into its head and its permutations", () => {
  expect(main.head).toBe("Parsed test spec with 1 sessions\n");
  expect(main.permutations).toEqual(["\nstarting permutation: a\nstep a: x\n1\n", "\nstarting permutation: b\n2\n"]);
});

test("a permutation passes with the text of any variant, and with no other", () => {
  const outcome = (text: string) => judge("s", 0, run(text), [main, variant], []).outcome;
  expect(["step a: x\n1", "other", "step a: x\n2"].map(outcome)).toEqual(["passed", "passed", "failed"]);
});

test("a permutation that was cut off fails, whatever it printed", () => {
  expect(judge("s", 0, run("other", "time over"), [main, variant], []).outcome).toBe("failed");
});

test("the difference is shown against the nearest variant", () => {
  const { diff } = judge("s", 0, run("step a: x\n2"), [variant, main], []);
  expect(diff.filter((line) => !line.startsWith("  "))).toEqual(["- 1", "+ 2"]);
});

test("a known difference of wording excuses these words and nothing else", () => {
  const known = [{ spec: "s", reason: "renamed", wording: [["x", "y"]] as [string, string][] }];
  const outcome = (text: string) => judge("s", 0, run(text), [main], known).outcome;
  expect([outcome("step a: y\n1"), outcome("step a: y\n2")]).toEqual(["known", "failed"]);
});

test("a known difference counts for its specification and permutation only", () => {
  const outcome = (spec: string, permutation?: string) =>
    judge("s", 0, run("z"), [main], [{ spec, reason: "r", ...(permutation === undefined ? {} : { permutation }) }])
      .outcome;
  expect([outcome("s"), outcome("s", "a"), outcome("s", "b"), outcome("t")]).toEqual([
    "known",
    "known",
    "failed",
    "failed",
  ]);
});

test("results are printed as PQprint prints them", () => {
  const table = printResult(
    ["id", "näme"],
    [
      ["1", "x"],
      ["-10.5", null],
    ],
  );
  expect(table).toBe("   id|näme\n-----+-----\n    1|x    \n-10.5|     \n(2 rows)\n\n");
  expect(printResult(["count"], [["3"]])).toBe("count\n-----\n    3\n(1 row)\n\n");
  expect(printResult(["b"], [["t"], ["1"]])).toBe("b\n-\nt\n1\n(2 rows)\n\n");
  expect(printResult([], [])).toBe("");
});
