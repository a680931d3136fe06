/** The progress of `repro`: one line in a terminal, few lines elsewhere. */
import { expect, test } from "vitest";
import { ReproProgress } from "../../../src/cli/repro-progress.ts";

function writtenTo(isTTY: boolean): string[] {
  const written: string[] = [];
  const progress = new ReproProgress({ isTTY, write: (text) => written.push(text) }, 10);
  for (const target of ["stock", "patched"] as const) {
    for (let total = 1; total <= 50; total++) progress.update(target, { corrupted: 1, total }, 2.9);
  }
  progress.end();
  return written;
}

test("without a terminal there is one line for each step at first, and no control characters", () => {
  expect(writtenTo(false)).toEqual([
    "pglite-devdb: repro: starting a server of each library\n",
    "pglite-devdb: repro: stock: 2 of 10 s, corrupted 1 / 1 (100.0 %)\n",
    "pglite-devdb: repro: patched: 2 of 10 s, corrupted 1 / 1 (100.0 %)\n",
  ]);
});

test("in a terminal one line is written again and again and is empty at the end", () => {
  const written = writtenTo(true);
  expect(written.every((text) => text.startsWith("\r\u001b[K") && !text.includes("\n"))).toBe(true);
  expect(written.at(-1)).toBe("\r\u001b[K");
});
