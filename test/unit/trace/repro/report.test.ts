/** What a comparison concludes, and how it is shown. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { reproJson, reproText } from "../../../../src/trace/repro/report.ts";
import { stockVersion } from "../../../../src/trace/repro/stock-server.ts";
import { concludeRepro } from "../../../../src/trace/repro.ts";
import type { JudgedQuery } from "../../../../src/trace/storm/storm-client.ts";
import { addQuery, emptyTally } from "../../../../src/trace/storm/tally.ts";
import type { StormReport } from "../../../../src/trace/storm.ts";

function report(kinds: readonly JudgedQuery["verdict"]["kind"][], more: Partial<StormReport> = {}): StormReport {
  const tally = emptyTally();
  kinds.forEach((kind, query) => {
    const verdict = kind === "right" ? { kind } : { kind, detail: `expected a, got b (${query})` };
    addQuery(tally, { client: 1, query, shape: "plain", split: query % 2 === 0 ? "whole" : "flush", verdict });
  });
  return { ...tally, seed: 5, clients: 6, seconds: 2.04, stopped: undefined, ...more };
}

const right = report(["right", "right", "right"]);
const corrupt = report(["wrongRows", "right", "noAnswer", "wrongRows"]);

test("it is shown only if the stock library corrupts and the patched one does not", () => {
  expect(concludeRepro({ stock: corrupt, patched: right }).ok).toBe(true);
  for (const [reports, sentence] of [
    [{ stock: right, patched: right }, /^The stock library corrupted none of 3 queries/],
    [{ stock: corrupt, patched: corrupt }, /^The patched library corrupted 3 of 4 queries.*seed 5/],
    [{ stock: right, patched: corrupt }, /stock library corrupted none.*patched library corrupted 3 of 4/],
    [{ stock: corrupt, patched: report(["right"], { refusedLogins: 2 }) }, /refused 2 logins/],
    [{ stock: corrupt, patched: report(["right"], { stopped: "it ended" }) }, /ended early: it ended/],
    [{ stock: corrupt, patched: report([]) }, /patched library was asked nothing/],
  ] as const) {
    const conclusion = concludeRepro(reports);
    expect(conclusion.ok).toBe(false);
    expect(conclusion.sentence).toMatch(sentence);
  }
});

test("the table has the counts of both, wrong rows first, and the first example of each kind", () => {
  const text = reproText({ stock: corrupt, patched: right });
  const lines = text.split("\n").map((line) => line.replace(/\s+/g, " ").trim());
  expect(lines[0]).toBe("6 clients, seed 5, 2.0 s on the stock library, then 2.0 s on the patched one");
  expect(lines).toContain("corrupted / total 3 / 4 (75.0 %) 0 / 3 (0.0 %)");
  expect(lines[lines.indexOf("corrupted / total 3 / 4 (75.0 %) 0 / 3 (0.0 %)") + 1]).toBe(
    "wrong rows without an error 2 0",
  );
  expect(lines).toContain("no answer 1 0");
  expect(lines).toContain("split whole 2 / 2 (100.0 %) 0 / 2 (0.0 %)");
  expect(lines).toContain("split flush 1 / 2 (50.0 %) 0 / 1 (0.0 %)");
  expect(text).toContain("client 1, query 0 (plain, whole): expected a, got b (0)");
  expect(text).not.toContain("refused logins");
  expect(text.trimEnd().split("\n").at(-1)).toBe(concludeRepro({ stock: corrupt, patched: right }).sentence);
});

test("the table says what else there was", () => {
  const stock = report(["wrongRows"], { stopped: "the server stopped answering", refusedLogins: 3 });
  const text = reproText({ stock, patched: right });
  expect(text).toContain("stock: ended early: the server stopped answering");
  expect(text).toMatch(/refused logins +3 +0/);
});

test("the JSON is one line with the same numbers", () => {
  const line = reproJson({ stock: corrupt, patched: right });
  expect(line.indexOf("\n")).toBe(line.length - 1);
  const read = JSON.parse(line);
  expect(read).toMatchObject({ ok: true, seed: 5, clients: 6 });
  expect(read.stock).toMatchObject({
    version: stockVersion,
    corrupted: 3,
    total: 4,
    kinds: { wrongRows: 2, noAnswer: 1 },
  });
  expect(read.patched).toMatchObject({ corrupted: 0, total: 3 });
});

test("the version that is shown is that of the stock library that is installed", () => {
  const path = new URL("../../../../node_modules/pglite-socket-stock/package.json", import.meta.url);
  expect(JSON.parse(readFileSync(path, "utf8")).version).toBe(stockVersion);
});
