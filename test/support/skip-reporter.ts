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

  onInit(vitest: { readonly config: { readonly testNamePattern?: RegExp | undefined } }): void {
    this.#isSelection = vitest.config.testNamePattern !== undefined;
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    const reasons = new Map<string, string[]>();
    for (const module of modules) {
      for (const test of module.children.allTests("skipped")) {
        const { note } = test.result() as { readonly note?: string };
        if (note === undefined && this.#isSelection) continue;
        const reason = note ?? "not for this platform, or not asked for: see the test";
        reasons.set(reason, [...(reasons.get(reason) ?? []), `${module.relativeModuleId} > ${test.fullName}`]);
      }
    }
    if (reasons.size > 0) process.stdout.write(listOf(reasons));
  }
}

const shown = 3;

function listOf(reasons: ReadonlyMap<string, readonly string[]>): string {
  const lines = ["", " NOT TESTED:"];
  for (const [reason, tests] of reasons) {
    lines.push(`  ${reason}`, ...tests.slice(0, shown).map((test) => `    ${test}`));
    if (tests.length > shown) lines.push(`    and ${tests.length - shown} more`);
  }
  return `${lines.join("\n")}\n`;
}
