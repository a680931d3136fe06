/**
 * kill -9 under load and in the first start: it opens again, and nothing that was answered is missing.
 *
 * Owns: the directory of the rounds and what is expected of them. Does not own: the rounds (`scripts/kill-nine/rounds.ts`).
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { runKillNine } from "../../scripts/kill-nine/rounds.ts";
import type { Sessions } from "../../src/options.ts";
import { runSeed } from "./random.ts";

/** Rounds on one directory, after `firstStarts` first starts that are killed. */
export async function checkKillNine(sessions: Sessions, fsync: string, rounds: number, firstStarts: number) {
  const root = mkdtempSync(join(tmpdir(), "kill-nine-"));
  onTestFinished(() => rmSync(root, { recursive: true, force: true, maxRetries: 3 }));
  const figures = await runKillNine({
    directory: join(root, "data"),
    rounds,
    firstStarts,
    seed: runSeed,
    writers: 4,
    changes: 12,
    longestMs: 600,
    sessions,
    server: ["--fsync", fsync],
    log: () => {},
  });
  expect(figures).toMatchObject({ opened: rounds, wrong: [] });
  expect(figures.rowsAnswered).toBeGreaterThan(0);
  expect(Object.values(figures.changesAnswered).some((count) => count > 0)).toBe(true);
}
