/**
 * The order of a run: row by row, quiet and busy, round by round, every target in turn.
 *
 * Owns: warm-ups, turns, what is kept of every cell. Does not own: targets, loads, or how figures are printed.
 * Invariant: in a round all targets run one after the other, so that a machine that gets slower gets slower for all;
 * everything that was started has been ended when `runBenchmark` settles.
 */
import { busyLoops, startBusyLoops } from "./busy-loops.ts";
import { type RowName, rowNamed, type TargetName } from "./catalogue.ts";
import type { CellResult } from "./cell.ts";
import type { Tally } from "./load-client.ts";
import type { BenchOptions } from "./options.ts";
import type { Target } from "./target.ts";
import { createTarget } from "./targets.ts";

/** One row of one target: a figure for each round, in the unit of the row, and what was not right. */
export interface Measurement extends Tally {
  /** `undefined` for a round without a figure. */
  readonly rounds: (number | undefined)[];
  /** The server's CPU time per operation, in µs, for each round. */
  readonly cpu: (number | undefined)[];
}

/** A line of the table. */
export interface RowFigures {
  readonly row: RowName;
  /** Beside processes that compute. */
  readonly busy: boolean;
  readonly targets: ReadonlyMap<TargetName, Measurement>;
}

/** All figures of a run. */
export interface BenchResult {
  readonly figures: readonly RowFigures[];
  /** Targets that could not be run, with the reason. */
  readonly absent: ReadonlyMap<TargetName, string>;
  readonly serverVersions: ReadonlyMap<TargetName, string>;
}

/** Runs the benchmark; `say` gets a line of progress now and then. */
export async function runBenchmark(options: BenchOptions, say: (line: string) => void): Promise<BenchResult> {
  const absent = new Map<TargetName, string>();
  const serverVersions = new Map<TargetName, string>();
  const figures: RowFigures[] = [];
  const targets: Target[] = [];
  try {
    for (const name of options.targets) {
      const target = createTarget(name, options.profile === name);
      targets.push(target);
      say(`starting ${name}`);
      try {
        await target.start();
        const version = await target.serverVersion();
        if (version !== undefined) serverVersions.set(name, version);
      } catch (error) {
        absent.set(name, (error as Error).message);
        say(`*** ${name} IS ABSENT: ${(error as Error).message}`);
      }
    }
    const present = targets.filter((target) => !absent.has(target.name));
    for (const row of options.rows) {
      figures.push({ row, busy: false, targets: await runRow(row, present, options, say) });
      if (!options.busy || row === "memory") continue;
      const loops = await startBusyLoops();
      try {
        say(`${rowNamed(row).title}: beside ${busyLoops} busy loops`);
        figures.push({ row, busy: true, targets: await runRow(row, present, options, say) });
      } finally {
        await loops.end();
      }
    }
    return { figures, absent, serverVersions };
  } finally {
    await Promise.all(targets.map((target) => target.stop()));
  }
}

async function runRow(
  row: RowName,
  targets: readonly Target[],
  options: BenchOptions,
  say: (line: string) => void,
): Promise<Map<TargetName, Measurement>> {
  const measurements = new Map(targets.map((target) => [target.name, emptyMeasurement()]));
  if (row === "memory") {
    for (const target of targets) measurements.get(target.name)!.rounds.push(target.peakMb());
    return measurements;
  }
  for (const target of targets) {
    if (canRun(row, target)) await warmUp(row, target, options.seconds, say);
  }
  for (let round = 1; round <= options.rounds; round++) {
    say(`${rowNamed(row).title}: round ${round} of ${options.rounds}`);
    for (const target of targets) {
      if (canRun(row, target)) await measure(row, target, options.seconds, measurements.get(target.name)!);
    }
  }
  return measurements;
}

function canRun(row: RowName, target: Target): boolean {
  return row !== "connect" || target.name !== "in-process";
}

// Half a cell, not counted. Memory is looked at in the middle of it, while the clients are connected.
async function warmUp(row: RowName, target: Target, seconds: number, say: (line: string) => void): Promise<void> {
  if (row === "spawn") return; // a cold start is what that row is about
  say(`${rowNamed(row).title}: warm-up of ${target.name}`);
  const timer = setTimeout(() => target.sampleMemory(), seconds * 250);
  try {
    const result = await target.run(row, seconds / 2);
    if (result.stalled) await restart(target);
  } catch {
    await restart(target); // the measured cells will say what is wrong
  } finally {
    clearTimeout(timer);
  }
}

async function measure(row: RowName, target: Target, seconds: number, into: Measurement): Promise<void> {
  try {
    if (row === "spawn") {
      const { elapsedMs, cpuMs } = await target.spawnToFirstRow();
      into.rounds.push(elapsedMs);
      into.cpu.push(cpuMs === undefined ? undefined : cpuMs * 1000);
      return;
    }
    const result = await target.run(row, seconds);
    into.rounds.push(rateOf(row, result));
    const isWhole = result.cpuMs !== undefined && result.right > 0;
    into.cpu.push(isWhole ? (result.cpuMs! * 1000) / result.right : undefined);
    for (const kind of ["right", "wrong", "failed", "lost"] as const) into[kind] += result[kind];
    into.firstProblem ??= result.firstProblem;
    if (result.stalled) await restart(target);
  } catch (error) {
    into.rounds.push(undefined);
    into.cpu.push(undefined);
    into.lost++;
    into.firstProblem ??= (error as Error).message;
    await restart(target);
  }
}

// A target that cannot be started anew stays in the run: its next cells fail, are counted, and try again.
async function restart(target: Target): Promise<void> {
  await target.restart().catch(() => {});
}

function rateOf(row: RowName, result: CellResult): number {
  return (result.right / result.elapsedMs) * 1000 * rowNamed(row).perOperation;
}

function emptyMeasurement(): Measurement {
  return { rounds: [], cpu: [], right: 0, wrong: 0, failed: 0, lost: 0, firstProblem: undefined };
}
