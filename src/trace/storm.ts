/**
 * The storm: many clients at once on one server, each with queries whose every row can be checked.
 *
 * Owns: the clients, and how long the storm lasts. Does not own: what is asked (`storm/shapes.ts`), how it is cut
 * (`storm/split.ts`), what is right (`storm/judge.ts`), or when a client waits in vain (`storm/watch.ts`).
 * Invariant: it ends, whatever the server does; every query is counted once.
 *
 * Use: `const report = await runStorm({ host, port }, { seed, queries: 5_000 })`; then `report.corrupted`,
 * `report.kinds`, `report.splits.flush` … are counts, `report.examples` has the first of each kind in words, and
 * `report.stopped` says why it ended early. On the stock library use `shapes: pipelineShapes` of `storm/shapes.ts`: the
 * other shapes need sessions. One write per pipeline (`splits: ["whole"]`) proves little, as a server may then answer it in one go.
 */
import { Pace } from "./storm/pace.ts";
import type { ServerAddress } from "./storm/raw-connection.ts";
import { pipelineShapes, type Shape, sessionShapes } from "./storm/shapes.ts";
import { splits as allSplits, type Split } from "./storm/split.ts";
import { type JudgedQuery, StormClient } from "./storm/storm-client.ts";
import { addQuery, emptyTally, type Tally } from "./storm/tally.ts";
import { Watch } from "./storm/watch.ts";

/** What a storm is made of. It lasts for `queries` (of all clients together) or for `seconds`. */
interface StormOptions {
  /** 6 if it is left out. */
  clients?: number;
  /** A whole number; the same one makes the same queries. */
  seed: number;
  queries?: number;
  seconds?: number;
  /** All if it is left out. */
  shapes?: readonly Shape[];
  /** One is chosen for each query; all if it is left out. */
  splits?: readonly Split[];
  /** How long the server may give no sign of life before the storm ends; 10 s if it is left out. */
  silenceMs?: number;
  /** Ends the storm; its report has what was counted until then, and the reason. */
  signal?: AbortSignal;
  /** Called about twenty times a second. */
  onProgress?: (tally: Readonly<Tally>, seconds: number) => void;
}

/** What came of a storm. */
export interface StormReport extends Tally {
  readonly seed: number;
  readonly clients: number;
  readonly seconds: number;
  /** Why it ended before its time, for example because the server stopped answering. */
  readonly stopped: string | undefined;
}

const watchEveryMs = 50;

/** Runs a storm. Rejects for options that make none; what the server does is never a rejection. */
export async function runStorm(address: ServerAddress, options: StormOptions): Promise<StormReport> {
  const { clients: count = 6, seed, queries, seconds, silenceMs = 10_000, signal, onProgress } = options;
  const splits = options.splits ?? allSplits;
  const shapes = options.shapes ?? [...pipelineShapes, ...sessionShapes];
  if ((queries === undefined) === (seconds === undefined) || splits.length === 0 || shapes.length === 0) {
    throw new RangeError("a storm lasts for a number of queries or of seconds, and has a shape and a split");
  }
  const began = performance.now();
  const elapsed = () => (performance.now() - began) / 1000;
  let stopped: string | undefined;
  const quota = (index: number) => Math.floor(queries! / count) + (index < queries! % count ? 1 : 0);
  const goesOn = (index: number) => (query: number) =>
    stopped === undefined && (seconds === undefined ? query < quota(index) : elapsed() < seconds);

  const tally = emptyTally();
  const plan = { address, seed, shapes, splits };
  const record = {
    judged: (query: JudgedQuery) => {
      watch.lastSign = performance.now();
      addQuery(tally, query);
    },
    refused: () => tally.refusedLogins++,
  };
  const clients = Array.from({ length: count }, (_, index) => new StormClient(index + 1, plan, record));
  const pace = new Pace(count);
  const stop = (reason: string) => {
    stopped ??= reason;
    pace.release();
    for (const { connection } of clients) connection?.hangUp("silence");
  };

  const watch = new Watch(address, clients, silenceMs, stop);
  const timer = setInterval(() => {
    onProgress?.(tally, elapsed());
    void watch.look();
  }, watchEveryMs);
  const onAbort = () => stop(signal?.reason instanceof Error ? signal.reason.message : String(signal?.reason));
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted) onAbort();
  try {
    const run = async (client: StormClient, index: number) => {
      await client.run(goesOn(index), (query) => pace.begin(index, query));
      pace.end(index);
    };
    await Promise.all(clients.map(run));
  } finally {
    clearInterval(timer);
    watch.end();
    signal?.removeEventListener("abort", onAbort);
  }
  return { ...tally, seed, clients: count, seconds: elapsed(), stopped };
}
