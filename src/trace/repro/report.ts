/**
 * The report of a comparison, for a person and for a program.
 *
 * Owns: the table, its words and the keys of the JSON. Does not own: the numbers.
 * Invariant: both forms have the same numbers; the worst kind of corruption stands first.
 */
import { concludeRepro, type ReproReport } from "../repro.ts";
import { type Corruption, corruptions } from "../storm/judge.ts";
import { splits } from "../storm/split.ts";
import type { Counts } from "../storm/tally.ts";
import type { StormReport } from "../storm.ts";
import { stockVersion } from "./stock-server.ts";

const corruptionNames: Readonly<Record<Corruption, string>> = {
  wrongRows: "wrong rows without an error",
  outOfStep: "answer out of step without an error",
  statementError: "bind or parse error",
  otherError: "other error",
  noAnswer: "no answer",
  connectionLost: "connection lost",
};

const columnWidth = 20;
const labelWidth = 40;

/** The report as a table with its conclusion, with a line break at the end. */
export function reproText(report: ReproReport): string {
  const { stock, patched } = report;
  const row = (label: string, show: (storm: StormReport) => string) =>
    label.padEnd(labelWidth) + show(stock).padStart(columnWidth) + show(patched).padStart(columnWidth);
  const usedSplits = splits.filter((split) => stock.splits[split] ?? patched.splits[split]);
  const lines = [
    `${stock.clients} clients, seed ${stock.seed}, ${seconds(stock)} on the stock library, then ${seconds(patched)} on the patched one`,
    "",
    "".padEnd(labelWidth) + `stock ${stockVersion}`.padStart(columnWidth) + "patched".padStart(columnWidth),
    row("corrupted / total", share),
    ...corruptions.map((kind) => row(`  ${corruptionNames[kind]}`, ({ kinds }) => String(kinds[kind]))),
    ...(usedSplits.length < 2
      ? []
      : usedSplits.map((split) => row(`split ${split}`, (storm) => share(storm.splits[split])))),
    ...(stock.refusedLogins + patched.refusedLogins === 0
      ? []
      : [row("refused logins", ({ refusedLogins }) => String(refusedLogins))]),
    "",
    ...remarks("stock", stock),
    ...remarks("patched", patched),
    concludeRepro(report).sentence,
  ];
  return `${lines.join("\n")}\n`;
}

/** The report as one line of JSON. */
export function reproJson(report: ReproReport): string {
  const { ok, sentence } = concludeRepro(report);
  const { seed, clients } = report.stock;
  const storm = ({ seed: _seed, clients: _clients, ...rest }: StormReport) => rest;
  const stock = { version: stockVersion, ...storm(report.stock) };
  return `${JSON.stringify({ ok, conclusion: sentence, seed, clients, stock, patched: storm(report.patched) })}\n`;
}

/** `282 / 709 (39.8 %)`. */
export function share(counts: Pick<Counts, "corrupted" | "total"> | undefined): string {
  if (!counts || counts.total === 0) return "0 / 0";
  const percent = ((counts.corrupted / counts.total) * 100).toFixed(1);
  return `${counts.corrupted} / ${counts.total} (${percent} %)`;
}

function remarks(name: string, { examples, stopped }: StormReport): string[] {
  const lines = [
    ...(stopped === undefined ? [] : [`${name}: ended early: ${stopped}`]),
    ...corruptions.flatMap((kind) =>
      examples[kind] === undefined ? [] : [`${name}, ${corruptionNames[kind]}, the first one:`, `  ${examples[kind]}`],
    ),
  ];
  return lines.length === 0 ? [] : [...lines, ""];
}

function seconds({ seconds: value }: StormReport): string {
  return `${value.toFixed(1)} s`;
}
