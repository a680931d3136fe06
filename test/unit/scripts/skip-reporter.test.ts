/** What a run lists as not tested: whatever did not run, but for what it was not asked for. */
import { expect, test, vi } from "vitest";
import type { TestModule } from "vitest/node";
import { SkipReporter } from "../../support/skip-reporter.ts";

const tags = ["long"];
const skipped = [
  { fullName: "a quick one", options: {}, note: undefined },
  { fullName: "a quick one with a reason", options: {}, note: "no psql" },
  { fullName: "a long one", options: { tags }, note: undefined },
].map(({ note, ...each }) => ({ ...each, result: () => ({ note }) }));

function listed(config: { tagsFilter?: string[]; testNamePattern?: RegExp }): string[] {
  const written = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  try {
    const reporter = new SkipReporter();
    reporter.onInit({ config });
    const module = { relativeModuleId: "x.test.ts", children: { allTests: () => skipped } };
    reporter.onTestRunEnd([module as unknown as TestModule]);
    const lines = written.mock.calls.map(([text]) => String(text)).join("");
    return lines.split("\n").flatMap((line) => line.match(/^ {2}(?: {2}x\.test\.ts > )?(\S.*)$/)?.[1] ?? []);
  } finally {
    written.mockRestore();
  }
}

const unknown = "not for this platform, or not asked for: see the test";

test("npm test lists what it skips, and the long ones by that name", () => {
  expect(listed({ tagsFilter: ["not long"] })).toEqual([
    ...[unknown, "a quick one", "no psql", "a quick one with a reason"],
    ...["takes long: npm run test:long", "a long one"],
  ]);
});

test("npm run test:long does not list the quick ones, which it was not asked for", () => {
  expect(listed({ tagsFilter: ["long"] })).toEqual(["no psql", "a quick one with a reason", unknown, "a long one"]);
});

test("a run of some tests by their name lists those with a reason only", () => {
  expect(listed({ testNamePattern: /x/ })).toEqual(["no psql", "a quick one with a reason"]);
});
