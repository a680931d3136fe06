/**
 * Rounds of kill -9: start, write and change, kill at a random moment, start again, look. Some end with a stop instead.
 *
 * Owns: the order of a round, and the figures. Does not own: its parts.
 * Invariant: the same seed makes the same choices; how far the server gets until the kill is up to the machine.
 */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import postgres from "postgres";
import { Random } from "../../src/trace/storm/random.ts";
import { openRunner, startChangers, subjectsOf } from "./changers.ts";
import { checkDatabase } from "./check-database.ts";
import { Ledger } from "./ledger.ts";
import { type ServedProcess, startServed } from "./served-process.ts";
import type { End, Tracked } from "./subject.ts";
import { schema, startWriters } from "./writers.ts";

/** What a run does. */
export interface KillNineOptions {
  /** A directory that does not exist yet; it is left there if something is wrong. */
  readonly directory: string;
  readonly rounds: number;
  /** Kills in the first start of a fresh directory, beside those. */
  readonly firstStarts: number;
  readonly seed: number;
  readonly writers: number;
  /** How many changes of objects are waited for at most before the kill. */
  readonly changes: number;
  /** The longest time from then to the kill. */
  readonly longestMs: number;
  readonly sessions: "shared" | "isolated";
  /** The names of the subjects that are changed; all that there can be if it is left out. */
  readonly subjects?: readonly string[];
  /** Further arguments of the server. */
  readonly server?: readonly string[];
  readonly log: (line: string) => void;
}

/** What came of it. */
interface KillNineFigures {
  opened: number;
  /** Kills while the server was starting, of those. */
  killedInStart: number;
  rowsSent: number;
  rowsAnswered: number;
  /** By subject. */
  changesAnswered: Record<string, number>;
  /** Ends that were stops, not kills. */
  stopped: number;
  firstStartsKilled: number;
  /** First starts that were ready before they were killed. */
  firstStartsReady: number;
  /** Empty if all is well. */
  wrong: string[];
}

const mostRows = 20_000;
const longestWritingMs = 400;
/** A start that takes longer hangs; seconds are usual, on a busy machine, too. */
const longestStartMs = 120_000;

/** Runs all rounds; stops at the first that is wrong. Rejects when a server does not start. */
export async function runKillNine(options: KillNineOptions): Promise<KillNineFigures> {
  const figures: KillNineFigures = {
    opened: 0,
    killedInStart: 0,
    rowsSent: 0,
    rowsAnswered: 0,
    changesAnswered: {},
    stopped: 0,
    firstStartsKilled: 0,
    firstStartsReady: 0,
    wrong: [],
  };
  const random = new Random(options.seed);
  await killFirstStarts(options, figures, random);
  await killUnderLoad(options, figures, random);
  if (figures.wrong.length === 0) rmSync(options.directory, { recursive: true, force: true });
  return figures;
}

async function killFirstStarts(options: KillNineOptions, figures: KillNineFigures, random: Random): Promise<void> {
  const { directory, log } = options;
  // The first of them is not killed: it tells how long a first start takes here.
  const began = performance.now();
  const whole = startServed(directory, serverArguments(options));
  await whole.ready;
  const firstStartMs = performance.now() - began;
  await whole.kill();
  for (let round = 0; round < options.firstStarts; round++) {
    rmSync(directory, { recursive: true, force: true });
    // Up to three kills of one first start, then it is let through.
    for (let kills = 1 + random.below(3); kills > 0; kills--) {
      const killed = startServed(directory, serverArguments(options));
      // Most of a first start is in memory; every other kill is aimed at the short time in which files are written.
      if (random.oneIn(2)) await firstFile(directory, killed);
      const longestMs = hasFiles(directory) ? longestWritingMs : firstStartMs;
      const ready = await killAfter(killed, random.below(Math.round(longestMs)));
      figures.firstStartsKilled++;
      if (ready) figures.firstStartsReady++;
    }
    const opened = startServed(directory, serverArguments(options));
    const sql = postgres(await opened.ready, { max: 1, onnotice: () => {} });
    const [row] = await sql`select count(*)::int as count from pg_class`;
    if (!(row?.count > 300)) figures.wrong.push(`first start ${round}: pg_class has ${row?.count} rows`);
    await sql.end({ timeout: 5 });
    await opened.kill();
    log(`first start ${round + 1} of ${options.firstStarts}: opens`);
  }
}

function serverArguments({ sessions, server = [] }: KillNineOptions): string[] {
  return ["-e", "amcheck", "--sessions", sessions, ...server];
}

/** Whether the new database has a file. */
function hasFiles(directory: string): boolean {
  const names = (path: string) => (existsSync(path) ? readdirSync(path) : []);
  const placed = names(directory).some((name) => !name.startsWith("pglite-devdb."));
  return placed || names(join(directory, "pglite-devdb.init/data")).length > 0;
}

async function firstFile(directory: string, served: ServedProcess): Promise<void> {
  let hasEnded = false;
  void served.ended.then(() => {
    hasEnded = true;
  });
  while (!hasEnded && !hasFiles(directory)) await pause(1);
}

async function killUnderLoad(options: KillNineOptions, figures: KillNineFigures, random: Random): Promise<void> {
  const { directory, rounds, log } = options;
  const ledger = new Ledger();
  const subjects = chosenSubjects(options);
  const next: number[] = [];
  let startMs = 1_000;
  let ends: readonly End[] = ["stopped"];
  for (let round = 0; round <= rounds && figures.wrong.length === 0; round++) {
    if (round > 0 && random.oneIn(4)) {
      // Recovery is work that can be killed as well.
      await killAfter(startServed(directory, serverArguments(options)), random.below(Math.round(startMs)));
      figures.killedInStart++;
      ends = [...new Set<End>([...ends, "killed"])];
    }
    const began = performance.now();
    const served = startServed(directory, serverArguments(options));
    const url = await within(longestStartMs, served.ready);
    startMs = performance.now() - began;
    if (url === undefined) {
      await served.kill();
      figures.wrong.push(
        `round ${round}: not ready ${longestStartMs / 1000} s after the server was ${ends.join(" or ")}`,
      );
      break;
    }
    if (round === 0) await createSchema(url, subjects);
    else figures.opened++;
    const wrong = [...(await checkDatabase(url, ledger, mostRows)), ...(await checkSubjects(url, subjects, ends))];
    figures.wrong.push(...wrong.map((text) => `round ${round}: ${text}`));
    if (round === rounds || figures.wrong.length > 0) {
      await served.kill();
      break;
    }
    const kept = ledger.counts();
    const work = { ledger, subjects, next, random: new Random(options.seed, round), isFirst: round === 0 };
    ends = await runRound(options, served, url, work);
    if (ends.includes("stopped")) figures.stopped++;
    const after = ledger.counts();
    figures.rowsSent += after.sent - kept.sent;
    figures.rowsAnswered += after.answered - kept.answered;
    for (const { subject, answered } of subjects) figures.changesAnswered[subject.name] = answered;
    const unanswered = subjects.flatMap((tracked) => tracked.unanswered ?? []);
    log(`round ${round + 1} of ${rounds}: ${ends.join(" or ")}, started in ${Math.round(startMs)} ms`);
    if (unanswered.length > 0) log(`  not answered: ${unanswered.join("; ")}`);
  }
}

async function within<T>(limitMs: number, promise: Promise<T>): Promise<T | undefined> {
  const late = new AbortController();
  const timer = pause(limitMs, undefined, { signal: late.signal }).catch(() => undefined);
  return Promise.race([promise, timer]).finally(() => late.abort());
}

/** What the clients of a round work on. */
interface Work {
  readonly ledger: Ledger;
  readonly subjects: readonly Tracked[];
  readonly next: number[];
  readonly random: Random;
  /** The first round is not over before something has been answered, or a short run might show nothing. */
  readonly isFirst: boolean;
}

/** Has clients work until the server is killed or stopped; resolves with how it ended, as far as that is known. */
async function runRound(
  options: KillNineOptions,
  served: ServedProcess,
  url: string,
  { ledger, subjects, next, random, isFirst }: Work,
): Promise<readonly End[]> {
  const least = isFirst ? 1 : 0;
  // A few at once: each is to get somewhere before the kill.
  const chosen = subjects.filter(() => random.oneIn(3));
  const load = startWriters(url, Math.max(least, random.below(options.writers + 1)), ledger, next, random);
  const changers = startChangers(url, chosen.length > 0 ? chosen : subjects, random);
  const isStop = random.oneIn(8);
  const work = Promise.all([load.ended, changers.ended]);
  const moment = Promise.all([
    changers.answered(Math.max(least, random.below(options.changes + 1))),
    isFirst ? load.answered : undefined,
  ]).then(() => pause(random.below(options.longestMs)));
  await Promise.race([moment, onlyFailure(work)]);
  load.stop();
  changers.stop();
  if (!isStop) await served.kill();
  const code = isStop ? await served.terminate(20_000) : undefined;
  await work;
  if (!isStop) return ["killed"];
  // A last checkpoint that takes longer than a stop may take is left to recovery.
  return code === 143 && !served.lastWords().includes("recover") ? ["stopped"] : ["stopped", "killed"];
}

/** Never resolves, so that a race goes on where there is nobody to work. */
async function onlyFailure(work: Promise<unknown>): Promise<never> {
  await work;
  return new Promise(() => {});
}

function chosenSubjects(options: KillNineOptions): readonly Tracked[] {
  const all = subjectsOf(options.sessions, options.log);
  return all.filter(({ subject }) => options.subjects?.includes(subject.name) ?? true);
}

async function createSchema(url: string, subjects: readonly Tracked[]): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  await sql.unsafe(schema);
  await sql.end({ timeout: 5 });
  const { run, end } = await openRunner(url);
  for (const { subject } of subjects) await subject.setUp(run);
  await end();
}

async function checkSubjects(url: string, subjects: readonly Tracked[], ends: readonly End[]): Promise<string[]> {
  const { run, end } = await openRunner(url);
  const wrong: string[] = [];
  for (const tracked of subjects) {
    const name = tracked.subject.name;
    wrong.push(...(await tracked.check(run, ends).catch((error) => [`${name}: ${String(error)}`])));
  }
  await end();
  return wrong;
}

/** Kills after a time, or as soon as it is ready; whether it was ready. */
async function killAfter(served: ServedProcess, ms: number): Promise<boolean> {
  const ready = await Promise.race([pause(ms).then(() => false), served.ready.then(() => true)]);
  await served.kill();
  return ready;
}
