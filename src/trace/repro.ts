/**
 * The interleaving corruption, shown: one storm on the stock library and the same one on the patched library.
 *
 * Owns: the order of the two storms, and what their reports prove. Does not own: how the servers are made (the caller
 * says), the storm itself (`storm.ts`), or how the report is shown (`repro/report.ts`).
 * Invariant: no server that was started here is running when it has settled.
 *
 * The servers are started at the same time and the storms run one after the other: a storm keeps one core busy with its
 * clients and one with its server, so that two at once would slow each other down, and not evenly.
 */
import type { ReproServer } from "./repro/server-process.ts";
import { pipelineShapes } from "./storm/shapes.ts";
import type { Split } from "./storm/split.ts";
import type { Tally } from "./storm/tally.ts";
import { runStorm, type StormReport } from "./storm.ts";

/** Which of the two libraries. */
export type ReproTarget = "stock" | "patched";

/** Starts a server; it has to be stopped again if it starts in spite of an aborted signal. */
type StartReproServer = (signal: AbortSignal) => Promise<ReproServer>;

/** What a comparison is made of. */
interface ReproOptions {
  readonly clients: number;
  /** For each of the two storms. */
  readonly seconds: number;
  readonly seed: number;
  readonly splits: readonly Split[];
  /** Ends it; it then rejects with the signal's reason. */
  readonly signal: AbortSignal;
  /** How long a server may give no sign of life, as in `StormOptions`. */
  readonly silenceMs?: number;
  readonly onProgress?: (target: ReproTarget, tally: Readonly<Tally>, seconds: number) => void;
}

/** What came of it. */
export type ReproReport = Readonly<Record<ReproTarget, StormReport>>;

/** Runs the comparison. Rejects when a server does not start. */
export async function runRepro(
  servers: Readonly<Record<ReproTarget, StartReproServer>>,
  options: ReproOptions,
): Promise<ReproReport> {
  const { signal } = options;
  const starting = { stock: servers.stock(signal), patched: servers.patched(signal) };
  try {
    const [stock, patched] = await Promise.all([starting.stock, starting.patched]);
    return {
      stock: await stormOn("stock", stock, options),
      patched: await stormOn("patched", patched, options),
    };
  } finally {
    await Promise.allSettled(Object.values(starting).map(async (server) => (await server).stop()));
  }
}

async function stormOn(target: ReproTarget, server: ReproServer, options: ReproOptions): Promise<StormReport> {
  const { signal, onProgress, ...storm } = options;
  const ended = new AbortController();
  void server.ended.then((how) => ended.abort(new Error(how)));
  const report = await runStorm(server.address, {
    ...storm,
    shapes: pipelineShapes,
    signal: AbortSignal.any([signal, ended.signal]),
    ...(onProgress ? { onProgress: (tally, seconds) => onProgress(target, tally, seconds) } : {}),
  });
  signal.throwIfAborted();
  return report;
}

/** What the two reports prove together. */
interface ReproVerdict {
  /** The stock library corrupts and the patched one does not. */
  readonly ok: boolean;
  /** For a person: what was shown, or which of the two was not so. */
  readonly sentence: string;
}

/** Draws the conclusion. */
export function concludeRepro({ stock, patched }: ReproReport): ReproVerdict {
  const problems = [
    ...(stock.corrupted > 0
      ? []
      : [
          `The stock library corrupted none of ${stock.total} queries, so nothing is shown: ` +
            "try more seconds, more clients or --split flush.",
        ]),
    ...problemsOfPatched(patched),
  ];
  if (problems.length > 0) return { ok: false, sentence: problems.join(" ") };
  return {
    ok: true,
    sentence: "The stock library corrupts queries of clients that work side by side; the patched one does not.",
  };
}

function problemsOfPatched(patched: StormReport): string[] {
  const { corrupted, total, refusedLogins, stopped, seed } = patched;
  const report = `That is a bug in this program: please report it, with seed ${seed}.`;
  if (corrupted > 0) return [`The patched library corrupted ${corrupted} of ${total} queries. ${report}`];
  if (refusedLogins > 0) return [`The patched library refused ${refusedLogins} logins. ${report}`];
  if (stopped !== undefined) return [`The storm on the patched library ended early: ${stopped}. ${report}`];
  if (total === 0) return ["The patched library was asked nothing, so nothing is shown: try more seconds."];
  return [];
}
