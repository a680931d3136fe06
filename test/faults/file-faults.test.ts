/** A disk with faults: short writes, no space, i/o errors, fsyncs that fail, each at a call that is chosen at random. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { runFileFaults } from "../../scripts/file-faults/rounds.ts";
import { runSeed } from "../support/random.ts";
import { report } from "../support/report.ts";

const rounds = { off: 2, on: 1 } as const;

describe("no answered row is lost, nothing hangs, and PostgreSQL says what is wrong", () => {
  test(`with fsync off, seed ${runSeed}`, { timeout: 600_000 }, () => checkFaults("off"));
  test(`with fsync on, seed ${runSeed}`, { tags: "long", timeout: 600_000 }, () => checkFaults("on"));
});

async function checkFaults(fsync: keyof typeof rounds): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "file-faults-"));
  onTestFinished(() => rmSync(root, { recursive: true, force: true, maxRetries: 3 }));
  const lines: string[] = [];
  const log = (line: string) => void lines.push(line);
  const figures = await runFileFaults({
    root,
    rounds: rounds[fsync],
    faults: 4,
    seed: runSeed,
    fsync,
    log,
  });
  report(lines.join("\n"));
  expect(figures.wrong).toEqual([]);
  expect(figures.met).toBeGreaterThan(0);
  expect(figures.rowsAnswered).toBeGreaterThan(0);
}
