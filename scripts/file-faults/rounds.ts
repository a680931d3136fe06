/**
 * Rounds with a faulty disk: start, write while files fail, look, end, start again, look.
 *
 * Owns: the order of a round, and what is wrong. Does not own: its parts.
 * Invariant: the same seed makes the same choices; which call of PostgreSQL's a fault meets is up to the machine.
 */
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import postgres from "postgres";
import { Random } from "../../src/trace/storm/random.ts";
import type { FileFault } from "../../test/support/failing-files.ts";
import { checkDatabase } from "../kill-nine/check-database.ts";
import { Ledger } from "../kill-nine/ledger.ts";
import { type ServedProcess, startServed } from "../kill-nine/served-process.ts";
import { schema } from "../kill-nine/writers.ts";
import { FaultOrders } from "./faults.ts";
import { startFaultyWriters } from "./writers.ts";

/** What a run does. */
export interface FileFaultsOptions {
  /** An empty directory. */
  readonly root: string;
  /** Starts of a server. */
  readonly rounds: number;
  /** Faults in the life of each. */
  readonly faults: number;
  readonly seed: number;
  readonly fsync: "on" | "off";
  readonly log: (line: string) => void;
}

/** What came of it. */
interface FileFaultsFigures {
  /** Faults that met a call. */
  met: number;
  /** Engines that died of one. */
  deaths: number;
  rowsAnswered: number;
  /** Empty if all is well. */
  wrong: string[];
}

const writers = 3;
const mostRows = 20_000;
/** How long a fault may take to meet a call, and how long its consequences are watched. */
const longestMs = 5_000;
const afterwardsMs = 100;
const patienceMs = 60_000;

/** What says that PostgreSQL has told somebody. */
const tells =
  /No space left on device|I\/O error|wrote only|read only \d+ of|could not (write|extend|read|fsync|load)|is not a valid data directory/;
/**
 * Files that PostgreSQL makes again, and whose loss it takes for nothing that a client need know; and one that is read when a session
 * begins: only its own client is told, who may have gone by then.
 */
const expendable = /pg_internal\.init|pg_stat_tmp|pgstat|postmaster\.pid|xlogtemp|PG_VERSION/;

/** Runs all rounds; stops at the first that is wrong. Rejects when a server does not start. */
export async function runFileFaults(options: FileFaultsOptions): Promise<FileFaultsFigures> {
  const { root, rounds, faults, seed, fsync, log } = options;
  const figures: FileFaultsFigures = { met: 0, deaths: 0, rowsAnswered: 0, wrong: [] };
  const directory = join(root, "data");
  const orders = new FaultOrders(join(root, "fault"), directory);
  const random = new Random(seed);
  const ledger = new Ledger();
  const next: number[] = [];
  for (let round = 0; round < rounds && figures.wrong.length === 0; round++) {
    const served = startServed(directory, ["-e", "amcheck", "--fsync", fsync], orders);
    const url = await served.ready;
    if (round === 0) await makeSchema(url);
    figures.wrong.push(...(await checkDatabase(url, ledger, mostRows)).map((text) => `round ${round}, again: ${text}`));
    for (let n = 0; n < faults && figures.wrong.length === 0; n++) {
      const fault = orders.choose(random, fsync === "on");
      const before = ledger.counts().answered;
      const name = `round ${round}, ${fault.kind} of ${fault.calls[0]} …, ${fault.lasting ? "from" : "only"} the ${fault.nth}th`;
      const found = await oneFault({ served, url, orders, fault, ledger, next, random });
      figures.wrong.push(...found.wrong.map((text) => `${name}: ${text}`));
      if (found.hits.length > 0) figures.met++;
      if (found.died) figures.deaths++;
      figures.rowsAnswered += ledger.counts().answered - before;
      log(`${name}: met ${found.hits.length}, first ${found.hits[0] ?? "nothing"}${found.died ? "; it died" : ""}`);
    }
    const wasToldToEnd = random.oneIn(2);
    const code = wasToldToEnd ? await served.terminate(patienceMs) : await served.kill();
    if (wasToldToEnd && code !== 143) figures.wrong.push(`round ${round}: SIGTERM ended it with ${code}`);
  }
  return figures;
}

interface Trial {
  readonly served: ServedProcess;
  readonly url: string;
  readonly orders: FaultOrders;
  readonly fault: FileFault;
  readonly ledger: Ledger;
  readonly next: number[];
  readonly random: Random;
}

async function oneFault({ served, url, orders, fault, ledger, next, random }: Trial) {
  const wordsBefore = served.words().length;
  const load = startFaultyWriters(url, writers, ledger, next, random);
  orders.order(fault);
  const until = performance.now() + longestMs;
  while (orders.hits(fault).length === 0 && performance.now() < until) await pause(5);
  await pause(afterwardsMs);
  orders.takeBack();
  const wrong: string[] = [];
  await load.stop().catch((error) => wrong.push(String(error)));
  const hits = orders.hits(fault);
  const told = load.told.join("\n");
  if (wrong.length === 0) await answers(url).catch((error) => wrong.push(`it does not go on: ${String(error)}`));
  const said = served.words().slice(wordsBefore);
  if (wrong.length === 0) wrong.push(...(await checkDatabase(url, ledger, mostRows)));
  const mustTell = hits.length > 0 && fault.kind !== "short" && !hits.every((hit) => expendable.test(hit));
  if (mustTell && !tells.test(told + said))
    wrong.push(`nobody was told of ${hits[0]}; the clients: ${told || "nothing"}`);
  if (/\bAborted\(|RuntimeError/.test(told + said)) wrong.push("it says how to build PGlite instead of what happened");
  if (wrong.length > 0) wrong.push(`hits: ${hits.slice(0, 5).join(", ")}; log: ${said.slice(-3000)}`);
  return { hits, wrong, died: said.includes("the engine died") };
}

/** Resolves when the server answers; rejects when it does not for long. */
async function answers(url: string): Promise<void> {
  for (const until = performance.now() + patienceMs; ; await pause(20)) {
    const sql = postgres(url, { max: 1, onnotice: () => {}, connect_timeout: 30, fetch_types: false });
    try {
      await sql`select 1`;
      return;
    } catch (error) {
      if (performance.now() > until) throw error;
    } finally {
      await sql.end({ timeout: 1 });
    }
  }
}

async function makeSchema(url: string): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  await sql.unsafe(schema);
  await sql.end({ timeout: 5 });
}
