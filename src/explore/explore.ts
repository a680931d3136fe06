/**
 * `explore()`: an application's actors under every interleaving of their statements.
 *
 * Owns: the order of an exploration: reset, schedule, verdict, the next one; what is told at the end. Does not own: one schedule
 * (`schedule-run.ts`), which one comes next (`choices.ts`).
 * Invariant: a schedule that was not the one that it was to be is run again, and never judged.
 */
import { setTimeout as delay } from "node:timers/promises";
import { inspect } from "node:util";
import type { GateHold, GateRecord } from "../engine/gate.ts";
import { UsageError } from "../errors.ts";
import { readServerUrl } from "../options/server-url.ts";
import { DatabaseError } from "../wire/query-results.ts";
import { checkOptions } from "./check-options.ts";
import { exhaustive, random, replay, roundRobin, type Strategy } from "./choices.ts";
import { reduced } from "./dpor.ts";
import { GateClient } from "./gate-client.ts";
import type { ExploreOptions, ExploreReport, Schedule } from "./report.ts";
import { type Rewind, rewindOf } from "./rewind.ts";
import { saveTrace } from "./save-trace.ts";
import { type ScheduleLimits, type ScheduleOutcome, ScheduleRun } from "./schedule-run.ts";
import { SessionStates } from "./session-state.ts";
import { SqlConnection } from "./sql.ts";
import { tableOf } from "./table.ts";

const mostSchedules = 10_000;
const usualSilenceMs = 200;
/** A statement that takes longer, and waits for no lock, is taken for one that waits for somebody else. */
const longStatementMs = 2000;
/** So often a schedule that takes another path is tried. */
const attempts = 3;

/**
 * Runs the actors once for each order in which their statements can reach PostgreSQL, each on real sessions, and looks at the invariant
 * each time. Rejects with a `UsageError` where the server cannot do that, and with what `reset` rejects with.
 */
export async function explore<Name extends string>(options: ExploreOptions<Name>): Promise<ExploreReport<Name>> {
  checkOptions(options);
  const { url } = options.db;
  const gate = new GateClient(url);
  const connection = new SqlConnection(url);
  try {
    await requireGate(gate);
    return (await new Exploration(options, gate, connection).run()) as ExploreReport<Name>;
  } finally {
    await Promise.all([gate.close(), connection.close()]);
  }
}

async function requireGate(gate: GateClient): Promise<void> {
  try {
    await gate.ask({ do: "open" });
  } catch (error) {
    // It has read a request as SQL.
    if (!(error instanceof DatabaseError) || error.code !== "42601") throw error;
    const needs = "explore needs a pglite-devdb with a session for each connection (Node 24 or later)";
    throw new UsageError(needs, { cause: error });
  }
}

class Exploration {
  readonly #options: ExploreOptions;
  readonly #gate: GateClient;
  readonly #connection: SqlConnection;
  readonly #rewind: Rewind;
  readonly #limits: ScheduleLimits;
  readonly #states: SessionStates;
  readonly #strategy: Strategy;
  readonly #seed: number | undefined;
  readonly #failing: Schedule[] = [];
  readonly #outcomes: Record<string, number> = {};
  /** The actors that have sent something. */
  readonly #seen = new Set<string>();
  readonly #codes: Record<string, number> = {};
  readonly #succeeded = new Set<string>();
  /** How actors failed last. */
  readonly #failures = new Map<string, string>();
  #schedules = 0;
  #orders = 0;
  #silences = 0;
  #strays = 0;
  #diverged = 0;
  #stopped: string | undefined;

  constructor(options: ExploreOptions, gate: GateClient, connection: SqlConnection) {
    this.#options = options;
    this.#gate = gate;
    this.#connection = connection;
    const { silenceMs = usualSilenceMs, trace, strategy = "exhaustive", reset } = options;
    // Where the rows are is known only of the server's own rewind.
    const granule = strategy !== "dpor" ? undefined : reset ? "relation" : "row";
    this.#limits = { silenceMs, ms: Math.max(longStatementMs, silenceMs), records: trace !== undefined, granule };
    this.#rewind = rewindOf(options, connection.sql);
    this.#states = new SessionStates(gate);
    if (options.replay !== undefined) this.#strategy = replay(options.replay);
    else if (strategy === "exhaustive") this.#strategy = exhaustive();
    else if (strategy === "dpor") this.#strategy = reduced();
    else {
      this.#seed = strategy.seed ?? Math.floor(Math.random() * 2 ** 31);
      this.#strategy = random(strategy.random, this.#seed);
    }
  }

  async run(): Promise<ExploreReport> {
    const { schedules: most = mostSchedules, strategy = "exhaustive", stopAtFirst = false } = this.#options;
    // Pools connect, and prepare what they keep: the schedules that count all find them like that.
    await this.#states.learn((await this.#hold()).connections);
    await this.#gate.ask({ do: "open" });
    const first = await this.#runOnce(roundRobin());
    if (first.isUnfinished) this.#stopped = first.stuck;
    let hasNext = this.#stopped === undefined;
    while (hasNext) {
      const outcome = await this.#run();
      if (outcome) await this.#judge(outcome);
      if (outcome?.isUnfinished) this.#stopped = outcome.stuck;
      hasNext = this.#strategy.next();
      if (this.#stopped !== undefined || (stopAtFirst && this.#failing.length > 0)) break;
      if (hasNext && this.#schedules + this.#diverged >= most) this.#stopped = `${most} schedules were run`;
      if (this.#stopped !== undefined) break;
    }

    // The next exploration begins where this one did.
    if (!this.#options.reset) await this.#rewind();
    this.#requireSteps();
    if (this.#stopped === undefined) await this.#lookAfter();
    const failed = Object.fromEntries([...this.#failures].filter(([name]) => !this.#succeeded.has(name)));
    const isSure =
      Object.keys(failed).length + this.#silences + this.#strays + this.#diverged === 0 && this.#stopped === undefined;
    return {
      schedules: this.#schedules,
      orders: this.#orders,
      complete: !hasNext && isSure && typeof strategy === "string" && this.#options.replay === undefined,
      failing: this.#failing,
      outcomes: this.#outcomes,
      failed,
      codes: this.#codes,
      silences: this.#silences,
      strays: this.#strays,
      diverged: this.#diverged,
      ...(this.#stopped === undefined ? {} : { stopped: this.#stopped }),
      ...(this.#seed === undefined ? {} : { seed: this.#seed }),
    };
  }

  #hold(): Promise<GateHold> {
    return this.#gate.ask({ do: "hold", records: false, ms: this.#limits.ms });
  }

  /** What an actor has not waited for may come when it is over. */
  async #lookAfter(): Promise<void> {
    await delay(this.#limits.silenceMs);
    this.#strays += (await this.#hold()).passed;
    await this.#gate.ask({ do: "open" });
  }

  /** Whoever is never seen uses another database, or none: nothing of it was explored. */
  #requireSteps(): void {
    const unseen = Object.keys(this.#options.actors).filter((name) => !this.#seen.has(name));
    if (unseen.length === 0 || this.#stopped !== undefined) return;
    const names = unseen.map((name) => `"${name}"`).join(", ");
    const { database } = readServerUrl(this.#options.db.url, "the server");
    throw new UsageError(
      `${unseen.length === 1 ? "the actor" : "the actors"} ${names} sent nothing to the database "${database}" in any schedule`,
    );
  }

  /** The strategy's schedule; undefined if it took another path each time. */
  async #run(): Promise<ScheduleOutcome | undefined> {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const outcome = await this.#runOnce(this.#strategy);
      if (!outcome.isDiverged) return outcome;
      if (outcome.isUnfinished) {
        this.#stopped = outcome.stuck;
        break;
      }
    }
    this.#diverged++;
    return undefined;
  }

  async #runOnce(strategy: Strategy): Promise<ScheduleOutcome> {
    await this.#rewind();
    try {
      const outcome = await new ScheduleRun(this.#gate, this.#options.actors, this.#limits).run(strategy);
      this.#strays += outcome.between;
      await this.#states.restore(outcome.settings);
      for (const { actor } of outcome.steps) this.#seen.add(actor);
      return outcome;
    } catch (error) {
      await this.#gate.ask({ do: "open" });
      throw error;
    }
  }

  async #judge(outcome: ScheduleOutcome): Promise<void> {
    this.#schedules++;
    this.#orders = Math.max(this.#orders, ordersOf(outcome));
    this.#silences += outcome.silences;
    this.#strays += outcome.strays;
    count(this.#outcomes, wordsOf(outcome));
    for (const [name, result] of Object.entries(outcome.results)) {
      if (result.status === "fulfilled") this.#succeeded.add(name);
      else this.#failures.set(name, messageOf(result.reason));
    }
    for (const { code } of outcome.steps) if (code) count(this.#codes, code);
    const failure = outcome.stuck ?? (await this.#broken(outcome));
    if (failure === undefined) return;
    const { steps, results } = outcome;
    const { trace } = this.#options;
    const saved = trace !== undefined && this.#failing.length === 0 ? await this.#save(trace) : {};
    this.#failing.push({
      steps,
      results,
      failure,
      decisions: outcome.decisions.join(" "),
      table: tableOf(Object.keys(this.#options.actors), steps, failure),
      ...saved,
    });
  }

  /** What was recorded, into a file; or why there is nothing of it. */
  async #save(trace: string): Promise<Partial<Pick<Schedule, "trace" | "untraced">>> {
    let records: readonly GateRecord[];
    try {
      records = await this.#gate.ask({ do: "record" });
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      return { untraced: error.message };
    }
    await saveTrace(trace, records);
    return { trace };
  }

  /** What is broken, in words. */
  async #broken({ results }: ScheduleOutcome): Promise<string | undefined> {
    let failure: UsageError;
    try {
      const verdict: unknown = await this.#options.invariant(this.#connection.sql, results);
      if (verdict === undefined || verdict === true) return undefined;
      if (verdict === false) return "the invariant is false";
      failure = new UsageError(`the invariant gives true, false or nothing, not ${inspect(verdict)}`);
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
    throw failure;
  }
}

function count(counts: Record<string, number>, key: string): void {
  counts[key] = (counts[key] ?? 0) + 1;
}

/** Of its steps, each actor's in its own order. */
function ordersOf({ steps }: ScheduleOutcome): number {
  const counts = new Map<string, number>();
  let orders = 1;
  steps.forEach(({ actor }, before) => {
    const own = (counts.get(actor) ?? 0) + 1;
    counts.set(actor, own);
    orders = (orders * (before + 1)) / own;
  });
  return Math.round(orders);
}

/** What has become of the actors. */
function wordsOf({ results }: ScheduleOutcome): string {
  return Object.entries(results)
    .map(([name, result]) => `${name} ${result.status === "fulfilled" ? "ok" : reasonOf(result.reason)}`)
    .join(", ");
}

/** With its SQLSTATE, if it has one. */
function messageOf(reason: unknown): string {
  const code = reasonOf(reason);
  const message = reason instanceof Error ? reason.message : String(reason);
  return code === message ? message : `${code} ${message}`;
}

/** A SQLSTATE, wherever the driver's wrappers have it, or what was said. */
function reasonOf(reason: unknown): string {
  for (let error = reason; error instanceof Error; error = error.cause) {
    if ("code" in error && typeof error.code === "string") return error.code;
  }
  return reason instanceof Error ? reason.message : String(reason);
}
