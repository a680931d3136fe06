/**
 * One life of the server: start on the directory, look, load with looks in between, and an end by a signal.
 *
 * Owns: the order of these, and telling a server that does not go on. Does not own: what clients do (`worker.ts`), what is
 * looked at (`inspection.ts`), how many lives there are (`run-stress.ts`).
 * Invariant: the process is gone when `live` settles.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Random } from "../../src/trace/storm/random.ts";
import { HeldMemory } from "../bench/held-memory.ts";
import { type ServedProcess, startServed } from "../kill-nine/served-process.ts";
import { Disturber } from "./disturber.ts";
import { checkBlobs, checkLeftovers, checkLog, checkStorage, checkTotals, describeActivity } from "./inspection.ts";
import { Listener } from "./listener.ts";
import { PgSession } from "./pg-session.ts";
import { stressTables } from "./statements.ts";
import { stepTables } from "./steps.ts";
import { Vitals } from "./vitals.ts";
import { type Run, Worker } from "./worker.ts";

/** How a life goes. */
export interface LifeOptions {
  readonly directory: string;
  readonly seed: number;
  /** From 0. */
  readonly number: number;
  readonly clients: number;
  /** How long there is load; 0 for none. */
  readonly loadMs: number;
  /** How it ends: in the middle of the load, if there is one. */
  readonly end: "SIGKILL" | "SIGTERM";
  readonly log: (line: string) => void;
}

const stallMs = 30_000;
/** For what takes long: recovery at a start, a look that reads every page of the database. */
const longStallMs = 180_000;
const longestBetweenLooksMs = 120_000;
const sampleMs = 10_000;
/** So many transactions have committed before the first look, however long that takes. */
const leastCommits = 25;
const endPatienceMs = 20_000;
/** 128 + 15. */
const exitCodeOfSigterm = 143;

/** Runs one life; undefined if it could not be gone through: the server did not start, or did not go on. */
export async function live(options: LifeOptions, run: Run): Promise<Vitals | undefined> {
  const held = new HeldMemory();
  const served = startServed(options.directory, ["--sessions", "isolated", "-e", "amcheck"], held);
  let vitals: Vitals | undefined;
  const failedBefore = run.counts.failed;
  try {
    const port = Number(new URL(await orStalled("the start", served.ready)).port);
    vitals = new Vitals(served.pid, options.directory, Math.min(sampleMs, Math.max(200, options.loadMs / 30)));
    await new Life(options, run, served, port, held, vitals).live();
    return vitals;
  } catch (error) {
    run.counts.fail(String(error));
    return undefined;
  } finally {
    vitals?.stop();
    await served.kill();
    held.drop();
    const said = served.lastWords().trim();
    if (run.counts.failed > failedBefore && said) options.log(`the server of life ${options.number + 1} said: ${said}`);
  }
}

async function orStalled<T>(what: string, work: Promise<T>): Promise<T> {
  const late = new AbortController();
  const timeout = sleep(longStallMs, undefined, { signal: late.signal }).then(() => {
    throw new Error(`no end of ${what} for ${longStallMs / 1000} s`);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    late.abort();
  }
}

class Life {
  readonly #options: LifeOptions;
  readonly #run: Run;
  readonly #served: ServedProcess;
  readonly #port: number;
  readonly #held: HeldMemory;
  readonly #vitals: Vitals;
  readonly #workers: Worker[];
  readonly #random: Random;
  #disturber: Disturber | undefined;
  /** Whether the load has ended, however. */
  #isOver = false;

  constructor(options: LifeOptions, run: Run, served: ServedProcess, port: number, held: HeldMemory, vitals: Vitals) {
    const { clients, seed, number } = options;
    this.#options = options;
    this.#run = run;
    this.#served = served;
    this.#port = port;
    this.#held = held;
    this.#vitals = vitals;
    this.#random = new Random(seed, number, clients);
    const random = (client: number) => new Random(seed, number, client);
    this.#workers = Array.from({ length: clients }, (_, client) => new Worker(client, port, random(client), run));
  }

  async live(): Promise<void> {
    const { number, loadMs, end } = this.#options;
    const { observer, listener } = await orStalled("the first statements", this.#prepare());
    await this.#look("after the start", observer, listener);
    if (loadMs > 0) {
      await this.#load(observer, listener);
    } else {
      await Promise.all([observer.close(), listener.close()]);
      await this.#end();
    }
    this.#options.log(`life ${number + 1}: ended by ${end}`);
  }

  async #prepare(): Promise<{ observer: PgSession; listener: Listener }> {
    const observer = await PgSession.open(this.#port);
    const listener = await Listener.open(this.#port);
    if (this.#options.number === 0) await observer.query(`${stressTables}; ${stepTables}`);
    return { observer, listener };
  }

  async #load(observer: PgSession, listener: Listener): Promise<void> {
    const { loadMs } = this.#options;
    const working = Promise.all(this.#workers.map((worker) => worker.work()));
    const looks = Math.max(1, Math.ceil(loadMs / longestBetweenLooksMs));
    const watch = new AbortController();
    const stalled = this.#watch(observer, watch.signal);
    const phases = async () => {
      for (let look = 1; look <= looks; look++) {
        await this.#disturbFor(loadMs / looks, observer);
        await Promise.all(this.#workers.map((worker) => worker.pause()));
        await this.#look(`look ${look} of ${looks}`, observer, listener);
        for (const worker of this.#workers) worker.resume();
      }
      await sleep(300 + this.#random.below(1_000));
    };
    try {
      await Promise.race([phases(), stalled]);
    } finally {
      this.#isOver = true;
      watch.abort();
      void this.#disturber?.stop();
      for (const worker of this.#workers) {
        worker.serverEnds = true;
        worker.stop();
      }
    }
    await this.#end();
    await working;
    // What was notified in the end may have been heard or not.
    this.#run.heard.forget();
  }

  async #disturbFor(milliseconds: number, observer: PgSession): Promise<void> {
    this.#disturber = new Disturber(this.#workers, observer, this.#random, this.#run.counts);
    await sleep(milliseconds, undefined, { ref: false });
    // A machine that is busy elsewhere takes longer until there is something to check.
    while (this.#run.counts.commits < leastCommits && !this.#isOver) await sleep(20, undefined, { ref: false });
    await this.#disturber.stop();
  }

  async #end(): Promise<void> {
    const { counts } = this.#run;
    if (this.#options.end === "SIGKILL") {
      counts.kills++;
      return this.#served.kill();
    }
    counts.cleanEnds++;
    const code = await this.#served.terminate(endPatienceMs);
    if (code !== exitCodeOfSigterm) counts.fail(`SIGTERM: the exit code is ${code} and not ${exitCodeOfSigterm}`);
  }

  /** All checks, with every client paused. */
  async #look(when: string, observer: PgSession, listener: Listener): Promise<void> {
    const { counts } = this.#run;
    const { number, log } = this.#options;
    const began = performance.now();
    const ask = async (sql: string) => (await observer.query(sql)).rows;
    for (const worker of this.#workers) worker.forgetLost();
    const checks = async () => {
      const wrong = await this.#settled(ask, [observer.pid, listener.pid]);
      const storage = await checkStorage(ask);
      counts.indexes += storage.indexes;
      counts.tables += storage.tables;
      counts.notifications += listener.count;
      wrong.push(...storage.wrong, ...(await checkTotals(ask)), ...(await checkBlobs(ask)));
      wrong.push(...(await checkLog(ask, this.#run)), ...(await listener.compare(this.#run.heard)));
      return wrong;
    };
    for (const text of await orStalled("the checks", checks())) counts.fail(`life ${number + 1}, ${when}: ${text}`);
    counts.checks++;
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    const heldMb = await this.#held.read(this.#served.pid, () => ask("select 1"));
    if (heldMb !== undefined) this.#vitals.heldMb.push(heldMb);
    const figures = `${counts.commits} commits, ${heldMb?.toFixed(0) ?? "?"} MB in use`;
    log(`life ${number + 1}, ${when}: checked in ${seconds} s; ${figures}, ${counts.failed} failures so far`);
  }

  /** What is left of connections that are gone, once the server has had time to see that they are. */
  async #settled(ask: (sql: string) => Promise<readonly string[]>, own: readonly number[]): Promise<string[]> {
    const pids = [...own, ...this.#workers.flatMap(({ session }) => (session ? [session.pid] : []))];
    const until = performance.now() + 5_000;
    for (;;) {
      const wrong = await checkLeftovers(ask, pids);
      if (wrong.length === 0 || performance.now() > until) return wrong;
      await sleep(50);
    }
  }

  /** Rejects when a client's statement, or nobody's at all, goes on. */
  async #watch(observer: PgSession, signal: AbortSignal): Promise<never> {
    for (;;) {
      await sleep(1_000, undefined, { signal, ref: false }).catch(() => new Promise<never>(() => {}));
      const now = performance.now();
      const stuck = this.#workers.filter(({ runningSince }) => now - (runningSince ?? now) > stallMs);
      if (stuck.length === 0) continue;
      const who = stuck.map(({ number, session, doing }) => `client ${number} (pid ${session?.pid}): ${doing}`);
      throw new Error([`no answer for ${stallMs / 1000} s:`, ...who, await this.#picture(observer)].join("\n  "));
    }
  }

  async #picture(observer: PgSession): Promise<string> {
    const late = sleep(5_000, "pg_stat_activity: no answer", { ref: false });
    const ask = async () => {
      const fresh = await PgSession.open(this.#port);
      return describeActivity((sql) => fresh.query(sql));
    };
    const known = describeActivity((sql) => observer.query(sql));
    return Promise.race([Promise.any([known, ask()]).catch(String), late]);
  }
}
