/** kill -9 under load and in the first start: it opens again, and no row whose COMMIT was answered is missing. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { Ledger } from "../../scripts/kill-nine/ledger.ts";
import { runKillNine } from "../../scripts/kill-nine/rounds.ts";
import { runSeed } from "../support/random.ts";

test.each([
  ["shared", "off", 5],
  ["isolated", "off", 5],
  // Each start of these syncs a whole database, which takes long.
  ["isolated", "on", 2],
] as const)(
  `a few rounds with %s sessions, fsync %s, seed ${runSeed}`,
  { timeout: 300_000 },
  async (sessions, fsync, rounds) => {
    const root = mkdtempSync(join(tmpdir(), "kill-nine-"));
    onTestFinished(() => rmSync(root, { recursive: true, force: true, maxRetries: 3 }));
    const figures = await runKillNine({
      directory: join(root, "data"),
      rounds,
      firstStarts: fsync === "on" ? 0 : 1,
      seed: runSeed,
      writers: 4,
      longestMs: 600,
      server: ["--sessions", sessions, "--fsync", fsync],
      log: () => {},
    });
    expect(figures).toMatchObject({ opened: rounds, wrong: [] });
    expect(figures.rowsAnswered).toBeGreaterThan(0);
  },
);

describe("what is wrong is seen", () => {
  const row = (n: number) => ({ writer: 0, n });
  function ledger() {
    const made = new Ledger();
    made.send(0, 1, 2).answered = true;
    made.send(0, 3, 2);
    return made;
  }

  test("all there, with or without what was not answered, is right, and then known", () => {
    expect(ledger().check([row(1), row(2)])).toEqual([]);
    const kept = ledger();
    expect(kept.check([row(1), row(2), row(3), row(4)])).toEqual([]);
    expect(kept.counts()).toEqual({ sent: 4, answered: 4 });
    expect(kept.check([row(1), row(2)])).toEqual(["writer 0, rows 3 to 4: answered, and 2 of 2 are missing"]);
  });

  test("a missing row, half a transaction and a row of nobody are named", () => {
    expect(ledger().check([row(1)])).toEqual(["writer 0, rows 1 to 2: answered, and 1 of 2 are missing"]);
    expect(ledger().check([row(1), row(2), row(3)])).toEqual(["writer 0, rows 3 to 4: 1 of 2 are there"]);
    expect(ledger().check([row(1), row(2), row(9)])).toEqual(["1 rows that nobody sent, such as 0/9"]);
  });
});
