/**
 * What was not tested, and why, at the end of a run, so that nobody takes a run without it for a complete one.
 *
 * Owns: the list, printed before Vitest's own summary. Does not own: who skips (`context.skip` with a reason).
 * Invariant: a test that did not run is in it, unless the run was asked for others by name.
 */
import type { Reporter, TestModule } from "vitest/node";

/** Prints the skipped tests, by reason. */
export class SkipReporter implements Reporter {
  #isSelection = false;
  /** Which tests the run has by their tag; the others are not listed, but for the long ones. */
  #tests: "all" | "quick" | "long" = "all";

  onInit(vitest: {
    readonly config: { readonly testNamePattern?: RegExp | undefined; readonly tagsFilter?: readonly string[] };
  }): void {
    this.#isSelection = vitest.config.testNamePattern !== undefined;
    const filter = vitest.config.tagsFilter ?? [];
    this.#tests = filter.includes("not long") ? "quick" : filter.includes("long") ? "long" : "all";
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    const reasons = new Map<string, string[]>();
    for (const module of modules) {
      for (const test of module.children.allTests("skipped")) {
        const { note } = test.result() as { readonly note?: string };
        const takesLong = test.options.tags?.includes("long") === true;
        const isDeselected = this.#isSelection || (this.#tests === "long" && !takesLong);
        if (note === undefined && isDeselected) continue;
        const reason = note ?? (takesLong && this.#tests === "quick" ? "takes long: npm run test:long" : unknownReason);
        reasons.set(reason, [...(reasons.get(reason) ?? []), `${module.relativeModuleId} > ${test.fullName}`]);
      }
    }
    if (reasons.size > 0) process.stdout.write(listOf(reasons));
  }
}

const unknownReason = "not for this platform, or not asked for: see the test";
const shown = 3;

function listOf(reasons: ReadonlyMap<string, readonly string[]>): string {
  const lines = ["", " NOT TESTED:"];
  for (const [reason, tests] of reasons) {
    lines.push(`  ${reason}`, ...tests.slice(0, shown).map((test) => `    ${test}`));
    if (tests.length > shown) lines.push(`    and ${tests.length - shown} more`);
  }
  return `${lines.join("\n")}\n`;
}
