/**
 * A run of the fuzzer: case after case, each followed by a check of the server.
 *
 * Owns: which cases run, what counts as a failure, and replacing a server that no longer serves. Does not own: the
 * cases, the checks, or how a result reads (`report.ts`).
 * Invariant: after a failure the run goes on with a server that serves, or it ends.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Health } from "./health.ts";
import { type Kind, kindOf, playsOf } from "./kinds.ts";
import type { FuzzOptions } from "./options.ts";
import type { Play } from "./play.ts";
import { Player } from "./player.ts";
import { baseline, emptyDatabase, fillUp, growth, settledVitals } from "./residue.ts";
import { ServerUnderTest, type Vitals } from "./server-under-test.ts";

/** A case that failed, or what was found after many. */
export interface Failure {
  /** The case and its play; undefined for what is found at a look between cases. */
  readonly where:
    | { readonly number: number; readonly play: number; readonly kind: Kind; readonly what: Play }
    | undefined;
  readonly problems: readonly string[];
  /** Whether the same play failed again, alone on a fresh server. */
  readonly isRepeatable: boolean | undefined;
  readonly secondsIntoRun: number;
}

/** What a run found. */
export interface FuzzResult {
  readonly casesByKind: ReadonlyMap<Kind, number>;
  readonly plays: number;
  readonly seconds: number;
  readonly baselineMs: number;
  readonly slowest: { readonly ms: number; readonly where: string };
  /** At the start, after the warm-up, at the end of the last server. */
  readonly vitals: { readonly start: Vitals; readonly warm: Vitals | undefined; readonly end: Vitals };
  readonly failures: readonly Failure[];
}

/** Numbers of cases between two looks at what the server holds; the first look is the warm-up. */
const casesPerLook = 100;

/** Hears what happens while it happens. */
interface FuzzListener {
  progress(line: string): void;
  failure(failure: Failure): void;
}

/** Runs. Rejects only if no server can be started. */
export async function runFuzz(options: FuzzOptions, listener: FuzzListener): Promise<FuzzResult> {
  const run = new Run(options, listener);
  await run.begin();
  try {
    await run.goThroughCases();
    return await run.end();
  } finally {
    await run.killServer();
  }
}

class Run {
  readonly #options: FuzzOptions;
  readonly #listener: FuzzListener;
  readonly #began = performance.now();
  readonly #casesByKind = new Map<Kind, number>();
  readonly #failures: Failure[] = [];
  #plays = 0;
  #slowest = { ms: 0, where: "" };
  #server!: ServerUnderTest;
  #health!: Health;
  #start!: Vitals;
  #warm: Vitals | undefined;
  #looks = 0;

  constructor(options: FuzzOptions, listener: FuzzListener) {
    this.#options = options;
    this.#listener = listener;
  }

  async begin(): Promise<void> {
    this.#server = await ServerUnderTest.start(this.#options.target, this.#options.program);
    await emptyDatabase(this.#server);
    this.#health = await Health.begin(this.#server.endpoint, this.#options.lateAfterMs);
    this.#start = await settledVitals(this.#server);
    this.#warm = undefined;
    this.#looks = 0;
  }

  async goThroughCases(): Promise<void> {
    const { from, cases, minutes, maxFailures, seed, play: only } = this.#options;
    const until = this.#began + (minutes ?? Number.POSITIVE_INFINITY) * 60_000;
    let done = 0;
    for (let number = from; number < from + (cases ?? Number.POSITIVE_INFINITY); number++) {
      const kind = kindOf(number);
      if (!this.#options.kinds.includes(kind)) continue;
      for (const [index, play] of playsOf(seed, number).entries()) {
        if (performance.now() >= until || this.#failures.length >= maxFailures) return;
        if (only !== undefined && only !== index) continue;
        // The other plays of a case would mostly fail for the same reason.
        if (!(await this.#try(number, index, kind, play))) break;
      }
      this.#casesByKind.set(kind, (this.#casesByKind.get(kind) ?? 0) + 1);
      if (++done % casesPerLook === 0) await this.#look(number);
    }
  }

  async end(): Promise<FuzzResult> {
    const end = await this.#settle();
    const grown = this.#warm ? growth(this.#warm, end) : [];
    const full = this.#failures.some(({ where }) => where === undefined) ? [] : await fillUp(this.#server);
    this.#health.end();
    const late = [
      ...grown,
      ...full,
      ...(await this.#server.stop()),
      ...this.#server.troubles().filter((one) => !/ended: 0|ended: 143|SIGTERM/.test(one)),
    ];
    if (late.length > 0) this.#fail({ where: undefined, problems: late, isRepeatable: undefined });
    return {
      casesByKind: this.#casesByKind,
      plays: this.#plays,
      seconds: this.#seconds(),
      baselineMs: this.#health.baselineMs,
      slowest: this.#slowest,
      vitals: { start: this.#start, warm: this.#warm, end },
      failures: this.#failures,
    };
  }

  async killServer(): Promise<void> {
    this.#health?.end();
    await this.#server?.kill();
  }

  /** Resolves with whether nothing was wrong. */
  async #try(number: number, index: number, kind: Kind, play: Play): Promise<boolean> {
    const began = this.#seconds();
    const { problems, isStuck } = await this.#perform(play, `${number}.${index}`);
    this.#plays++;
    if (problems.length === 0) return true;
    await this.#restart();
    const again = await this.#perform(play, `${number}.${index}`);
    if (again.isStuck || isStuck) await this.#restart();
    const where = { number, play: index, kind, what: play };
    this.#fail({ where, problems, isRepeatable: again.problems.length > 0 }, began);
    return false;
  }

  async #perform(play: Play, name: string): Promise<{ problems: string[]; isStuck: boolean }> {
    const player = new Player(this.#server.endpoint, this.#health.limitMs);
    await player.perform(play);
    const problems: string[] = [];
    let isStuck = false;
    if (player.hasStayers) {
      const found = await this.#health.probe();
      this.#note(found.probeMs, name);
      problems.push(...found.problems.map((one) => `while clients stay: ${one}`));
      isStuck ||= found.isStuck;
    }
    await player.finish();
    const found = await this.#health.check();
    this.#note(found.probeMs, name);
    // A process that dies of it may take a moment to be seen as dead.
    if (found.isStuck) await sleep(200);
    problems.push(...player.problems, ...found.problems, ...this.#server.troubles());
    return { problems, isStuck: isStuck || found.isStuck || this.#server.hasEnded };
  }

  #note(ms: number | undefined, where: string): void {
    if (ms !== undefined && ms > this.#slowest.ms) this.#slowest = { ms, where };
  }

  /** Between cases: empties the database, and takes the figures. */
  async #look(number: number): Promise<void> {
    const now = await this.#settle();
    this.#warm = baseline(this.#warm, now, ++this.#looks);
    const held = now.heldMb === undefined ? "" : ` (${now.heldMb.toFixed(1)} MB in use)`;
    const figures = `${Math.round(now.memoryMb ?? 0)} MB${held}, ${now.handles ?? "?"} handles`;
    this.#listener.progress(
      `${Math.round(this.#seconds())} s, case ${number}, ${this.#plays} plays: ${figures}, slowest probe ${Math.round(this.#slowest.ms)} ms`,
    );
    const grown = growth(this.#warm, now);
    if (grown.length > 0) {
      this.#fail({ where: undefined, problems: grown, isRepeatable: undefined });
      await this.#restart();
    }
  }

  async #settle(): Promise<Vitals> {
    try {
      await emptyDatabase(this.#server);
    } catch (error) {
      this.#fail({
        where: undefined,
        problems: [`between cases: ${(error as Error).message}`],
        isRepeatable: undefined,
      });
      await this.#restart();
    }
    return settledVitals(this.#server, this.#warm ?? this.#start);
  }

  async #restart(): Promise<void> {
    await this.killServer();
    await this.begin();
  }

  #fail(failure: Omit<Failure, "secondsIntoRun">, secondsIntoRun = this.#seconds()): void {
    const timed = { ...failure, secondsIntoRun };
    this.#failures.push(timed);
    this.#listener.failure(timed);
  }

  #seconds(): number {
    return (performance.now() - this.#began) / 1000;
  }
}
