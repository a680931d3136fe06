/**
 * The rows and the columns of the benchmark: their names on the command line and what they are.
 *
 * Owns: names, titles, units, and which direction is better. Does not own: how a row is run (`workloads.ts`,
 * `run-benchmark.ts`) or how a target is started (`targets.ts`).
 */

/** One row of the table. */
interface Row {
  /** What `--only` takes. */
  readonly name: RowName;
  readonly title: string;
  readonly unit: string;
  readonly lessIsBetter: boolean;
  /** Multiplies operations per second into `unit`. */
  readonly perOperation: number;
}

/** What `--only` takes. */
export type RowName =
  | "unprepared"
  | "prepared"
  | "in-flight"
  | "insert"
  | "transactions"
  | "10mb"
  | "connect"
  | "spawn"
  | "memory";

/** What `--targets` takes; the columns of the table. */
export type TargetName = "ours" | "traced" | "shared" | "stock" | "in-process" | "constants" | "postgres";

/** Every target, in the order of the columns and of the turns. */
export const targetNames: readonly TargetName[] = [
  ...(["ours", "traced", "shared", "stock", "in-process", "constants", "postgres"] as const),
];

/** Those that are run where none is named. */
export const usualTargets = targetNames.filter((name) => name !== "traced");

/** Every row, in the order of the table. */
export const rows: readonly Row[] = [
  rate("unprepared", "1 client, unprepared", "op/s"),
  rate("prepared", "1 client, prepared", "op/s"),
  rate("in-flight", "1 client, 20 in flight", "op/s"),
  rate("insert", "8 clients, insert", "op/s"),
  rate("transactions", "8 clients, transactions", "tx/s"),
  rate("10mb", "10 MB result", "MB/s", 10),
  rate("connect", "connect", "conn/s"),
  { name: "spawn", title: "spawn to first row", unit: "ms", lessIsBetter: true, perOperation: 1 },
  { name: "memory", title: "peak memory", unit: "MB", lessIsBetter: true, perOperation: 1 },
];

/** The row of a name that is known to exist. */
export function rowNamed(name: RowName): Row {
  return rows.find((row) => row.name === name)!;
}

function rate(name: RowName, title: string, unit: string, perOperation = 1): Row {
  return { name, title, unit, lessIsBetter: false, perOperation };
}
