/**
 * The figures as text for a person and as JSON.
 *
 * Owns: medians, ratios, the table, the notes below it. Does not own: measuring.
 * Invariant: a figure that stands for anything but right answers only is marked, and its note says how many were not.
 */
import { rowNamed, type TargetName, targetNames } from "./catalogue.ts";
import type { Surroundings } from "./machine.ts";
import type { BenchOptions } from "./options.ts";
import { postgresSettings } from "./real-postgres.ts";
import type { BenchResult, Measurement, RowFigures } from "./run-benchmark.ts";

const pairs: readonly (readonly [TargetName, TargetName])[] = [
  ["ours", "stock"],
  ["ours", "postgres"],
  ["ours", "in-process"],
  ["traced", "ours"],
];
const explanations: Readonly<Partial<Record<TargetName, string>>> = {
  traced: "ours, started with --trace.",
  "in-process": "PGlite in the load process, fed through execProtocolRawStream; its memory includes the load client.",
  constants: "a Node socket server with canned replies and no engine: the limit of a Node socket with this client.",
  postgres: "its memory is the sum of Pss of its processes with clients connected; its spawn does not include initdb.",
};
const wideSpread = 0.3;

/** The whole report, lines joined. */
export function formatReport(options: BenchOptions, where: Surroundings, result: BenchResult): string {
  const columns = targetNames.filter((name) => options.targets.includes(name));
  const compared = pairs.filter((pair) => pair.every((name) => columns.includes(name)));
  const tables = kinds.flatMap((kind) => {
    const header = [headings[kind], "unit", ...columns, ...compared.map((pair) => pair.join("/"))];
    const body = result.figures
      .filter(({ targets }) => [...targets.values()].some((measurement) => median(measurement[kind]) !== undefined))
      .map((figures) => [
        titleOf(figures, kind),
        kind === "cpu" ? "µs" : rowNamed(figures.row).unit,
        ...columns.map((target) => cellText(result, figures, target, kind)),
        ...compared.map((pair) => ratioText(figures, pair, kind)),
      ]);
    return ["", ...table([header, ...body])];
  });
  return [...head(options, where, result), ...tables, "", ...notes(columns, result)].join("\n");
}

const kinds = ["rounds", "cpu"] as const;
type Kind = (typeof kinds)[number];
const headings: Readonly<Record<Kind, string>> = { rounds: "", cpu: "CPU per operation, server" };

function titleOf({ row, busy }: RowFigures, kind: Kind = "cpu"): string {
  const { title, lessIsBetter } = rowNamed(row);
  return `${title}${busy ? ", busy" : ""}${lessIsBetter && kind === "rounds" ? " (less is better)" : ""}`;
}

/** Everything that was measured, for `--json`. */
export function reportAsJson(options: BenchOptions, where: Surroundings, result: BenchResult): string {
  const figures = result.figures.map((line) => {
    const { unit, lessIsBetter } = rowNamed(line.row);
    const targets = [...line.targets].map(([target, measurement]) => {
      const { rounds, cpu } = measurement;
      return [target, { median: median(rounds), medianCpu: median(cpu), ...measurement }] as const;
    });
    const ratios = (kind: Kind) =>
      Object.fromEntries(pairs.map((pair) => [pair.join("/"), ratio(line, pair, kind)] as const));
    return {
      ...{ row: line.row, busy: line.busy, unit, lessIsBetter, targets: Object.fromEntries(targets) },
      ...{ ratios: ratios("rounds"), cpuRatios: ratios("cpu") },
    };
  });
  const { seconds, rounds } = options;
  return `${JSON.stringify(
    {
      ...where,
      seconds,
      rounds,
      serverVersions: Object.fromEntries(result.serverVersions),
      absent: Object.fromEntries(result.absent),
      figures,
    },
    undefined,
    2,
  )}\n`;
}

function head(options: BenchOptions, where: Surroundings, result: BenchResult): string[] {
  const inside = result.serverVersions.get("ours") ?? result.serverVersions.get("stock");
  const real = result.serverVersions.get("postgres");
  return [
    `${where.date} · ${options.rounds} rounds of ${options.seconds} s per cell, targets in turn; the median over the rounds`,
    `Node ${where.node} · PGlite ${where.pglite}${inside ? ` (PostgreSQL ${inside})` : ""} · stock library ${where.stockLibrary}` +
      (real ? ` · PostgreSQL ${real} (${postgresSettings})` : ""),
    `${where.cpu}, ${where.cores} cores, ${where.memoryGb} GB · ${where.os} · load average before: ${where.loadBefore.toFixed(2)}`,
    "Load: a raw-protocol client made for this (not a driver), the same bytes for every target, a batch per segment.",
    "A ratio is the median over the rounds of the ratio within a round.",
  ];
}

function notes(columns: readonly TargetName[], result: BenchResult): string[] {
  const lines = [...result.absent].map(([target, reason]) => `*** ${target} IS ABSENT: ${reason}`);
  for (const line of result.figures) {
    for (const [target, m] of line.targets) {
      if (problems(m) === 0) continue;
      const counts = `${m.wrong} wrong, ${m.failed} failed, ${m.lost} lost, ${m.right} right`;
      lines.push(`! ${target}, ${titleOf(line)}: ${counts}; only right ones are in the rate; first: ${m.firstProblem}`);
    }
  }
  return [
    ...lines,
    `~ the rounds differ by more than ${wideSpread * 100} % of their median.   – does not apply or was not run.`,
    ...columns.flatMap((target) => (explanations[target] ? [`${target}: ${explanations[target]}`] : [])),
    "memory of the others: VmHWM of the process at the end of this run, after all the rows above.",
  ];
}

function cellText(result: BenchResult, { targets }: RowFigures, target: TargetName, kind: Kind): string {
  if (result.absent.has(target)) return "absent";
  const measurement = targets.get(target);
  const middle = measurement && median(measurement[kind]);
  if (measurement === undefined || middle === undefined)
    return measurement && problems(measurement) > 0 ? "none !" : "–";
  return `${figure(middle)}${spread(measurement[kind]) > wideSpread ? " ~" : ""}${problems(measurement) > 0 ? " !" : ""}`;
}

function ratioText(figures: RowFigures, pair: (typeof pairs)[number], kind: Kind): string {
  const value = ratio(figures, pair, kind);
  return value === undefined ? "–" : value.toFixed(2);
}

function ratio({ targets }: RowFigures, [one, other]: (typeof pairs)[number], kind: Kind): number | undefined {
  const mine = targets.get(one)?.[kind];
  const theirs = targets.get(other)?.[kind];
  if (mine === undefined || theirs === undefined) return undefined;
  return median(
    mine.map((value, round) => {
      const against = theirs[round];
      return value === undefined || against === undefined || against === 0 ? undefined : value / against;
    }),
  );
}

/** The middle of the values that there are; `undefined` when there are none. */
function median(values: readonly (number | undefined)[]): number | undefined {
  const sorted = values.filter((value) => value !== undefined).sort((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 || sorted.length === 0 ? sorted[half] : (sorted[half - 1]! + sorted[half]!) / 2;
}

function spread(rounds: Measurement["rounds"]): number {
  const known = rounds.filter((value) => value !== undefined);
  const middle = median(known);
  return middle ? (Math.max(...known) - Math.min(...known)) / middle : 0;
}

function problems(measurement: Measurement): number {
  return measurement.wrong + measurement.failed + measurement.lost;
}

function figure(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en-US") : value.toPrecision(3);
}

function table(lines: readonly (readonly string[])[]): string[] {
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const text = lines.map((line) =>
    line.map((cell, column) => (column < 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join("  "),
  );
  return [text[0]!, "-".repeat(text[0]!.length), ...text.slice(1)];
}
