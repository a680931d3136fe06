/**
 * One cell of the table, once: a row against a target for some seconds.
 *
 * Owns: opening the clients, the clock, the watch for a server that fell silent. Does not own: the load itself.
 * Invariant: it ends. A target that finishes no operation for five to ten seconds ends the cell as stalled, and what was under way
 * counts as lost.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { RowName } from "./catalogue.ts";
import { exchange, type Link } from "./link.ts";
import { LoadClient, type Strictness, type Tally } from "./load-client.ts";
import { setup, type Workload, workloadOf } from "./workloads.ts";

/** What came of one cell. */
export interface CellResult extends Tally {
  /** From the first byte sent to the last answer. */
  elapsedMs: number;
  /** CPU time of the server in that time, in ms, where there is one and the system tells. */
  cpuMs: number | undefined;
  /** The target stopped answering; it has to be started anew. */
  stalled: boolean;
}

const silenceMs = 5_000;
// A client's side of a closed connection stays reserved for a minute; this many per cell leaves free ports for all.
const mostConnects = 4_000;

/** What a cell is run against. */
interface Served {
  readonly open: () => Promise<Link>;
  readonly strictness: Strictness;
  /** CPU time of the server so far, in ms. */
  readonly cpuMs: () => number | undefined;
}

/** Runs `row` for `seconds` against `served`. Rejects when the clients cannot even be set up. */
export async function runCell(row: RowName, seconds: number, served: Served): Promise<CellResult> {
  const { open } = served;
  const workload = workloadOf(row);
  if (workload === undefined) return runConnects(seconds, served);
  const links: Link[] = [];
  try {
    const first = await open();
    links.push(first);
    for (const batch of setup) await mustSucceed(first, batch);
    while (links.length < workload.clients) links.push(await open());
    return await runClients(workload, seconds, links, served);
  } finally {
    await Promise.all(links.map((link) => link.close()));
  }
}

async function runClients(
  workload: Workload,
  seconds: number,
  links: readonly Link[],
  { strictness, cpuMs }: Served,
): Promise<CellResult> {
  const result: CellResult = emptyResult();
  const clients: LoadClient[] = [];
  for (const [index, link] of links.entries()) {
    const load = workload.client(index);
    for (const batch of load.prepare) await mustSucceed(link, batch);
    clients.push(new LoadClient(link, load, result, strictness));
  }
  const clock = startClock(result, cpuMs);
  let watch: NodeJS.Timeout | undefined;
  await new Promise<void>((resolve) => {
    let busy = clients.length;
    for (const client of clients) {
      client.onIdle = () => {
        if (--busy === 0) resolve();
      };
    }
    watch = watchForSilence(result, () => {
      result.stalled = true;
      for (const client of clients) client.giveUp(`no operation ended for ${silenceMs / 1000} s`);
    });
    for (const client of clients) client.start(workload.inFlight, clock.start + seconds * 1000);
  });
  clearInterval(watch);
  clock.stop();
  return result;
}

// Compares counts instead of keeping the time of the last answer: nothing is added to the path that is measured.
function watchForSilence(tally: Tally, onSilence: () => void): NodeJS.Timeout {
  let seen = 0;
  return setInterval(() => {
    const answered = tally.right + tally.wrong + tally.failed;
    if (answered === seen) onSilence();
    seen = answered;
  }, silenceMs);
}

/** TCP connect, login up to the first ReadyForQuery, Terminate, close; one after the other. */
async function runConnects(seconds: number, { open, cpuMs }: Served): Promise<CellResult> {
  const result = emptyResult();
  const clock = startClock(result, cpuMs);
  while (performance.now() < clock.start + seconds * 1000 && result.right + result.failed < mostConnects) {
    try {
      const link = await open();
      await link.close();
      result.right++;
    } catch (error) {
      result.failed++;
      result.firstProblem ??= (error as Error).message;
      await delay(10); // a server that refuses must not be stormed
    }
  }
  clock.stop();
  return result;
}

/** Measures until `stop`, into `result`. */
function startClock(result: CellResult, cpuMs: Served["cpuMs"]): { readonly start: number; stop(): void } {
  const cpuBefore = cpuMs();
  const start = performance.now();
  const stop = (): void => {
    result.elapsedMs = performance.now() - start;
    const cpuAfter = cpuMs();
    if (cpuBefore !== undefined && cpuAfter !== undefined) result.cpuMs = cpuAfter - cpuBefore;
  };
  return { start, stop };
}

function emptyResult(): CellResult {
  const tally = { right: 0, wrong: 0, failed: 0, lost: 0, firstProblem: undefined };
  return { ...tally, elapsedMs: 0, cpuMs: undefined, stalled: false };
}

async function mustSucceed(link: Link, batch: Uint8Array): Promise<void> {
  const answer = await exchange(link, batch);
  if (answer.error !== undefined) throw new Error(answer.error);
}
