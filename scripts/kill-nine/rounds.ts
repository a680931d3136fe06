/**
 * Rounds of kill -9: start, write, kill at a random moment, start again, look.
 *
 * Owns: the order of a round, and the figures. Does not own: its parts.
 * Invariant: the same seed makes the same choices; how far the server gets until the kill is up to the machine.
 */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import postgres from "postgres";
import { Random } from "../../src/trace/storm/random.ts";
import { checkDatabase } from "./check-database.ts";
import { Ledger } from "./ledger.ts";
import { type ServedProcess, startServed } from "./served-process.ts";
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
  /** The longest time from the ready line to the kill. */
  readonly longestMs: number;
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
  firstStartsKilled: number;
  /** First starts that were ready before they were killed. */
  firstStartsReady: number;
  /** Empty if all is well. */
  wrong: string[];
}

const mostRows = 20_000;
const longestWritingMs = 400;

/** Runs all rounds; stops at the first that is wrong. Rejects when a server does not start. */
export async function runKillNine(options: KillNineOptions): Promise<KillNineFigures> {
  const figures: KillNineFigures = {
    opened: 0,
    killedInStart: 0,
    rowsSent: 0,
    rowsAnswered: 0,
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

function serverArguments({ server = [] }: KillNineOptions): string[] {
  return ["-e", "amcheck", ...server];
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
  const { directory, rounds, writers, longestMs, log } = options;
  const ledger = new Ledger();
  const next: number[] = [];
  let startMs = 1_000;
  for (let round = 0; round <= rounds && figures.wrong.length === 0; round++) {
    if (round > 0 && random.oneIn(4)) {
      // Recovery is work that can be killed as well.
      await killAfter(startServed(directory, serverArguments(options)), random.below(Math.round(startMs)));
      figures.killedInStart++;
    }
    const began = performance.now();
    const served = startServed(directory, serverArguments(options));
    const url = await served.ready;
    startMs = performance.now() - began;
    if (round === 0) await createSchema(url);
    else figures.opened++;
    const before = ledger.counts();
    figures.wrong.push(...(await checkDatabase(url, ledger, mostRows)).map((text) => `round ${round}: ${text}`));
    if (round === rounds || figures.wrong.length > 0) {
      await served.kill();
      break;
    }
    const kept = ledger.counts();
    const load = startWriters(url, writers, ledger, next, new Random(options.seed, round));
    await Promise.race([pause(random.below(longestMs)), load.ended]);
    load.stop();
    await served.kill();
    await load.ended;
    const after = ledger.counts();
    figures.rowsSent += after.sent - kept.sent;
    figures.rowsAnswered += after.answered - kept.answered;
    log(
      `round ${round + 1} of ${rounds}: ${after.answered - kept.answered} rows answered (checked ${before.answered})`,
    );
  }
}

async function createSchema(url: string): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  await sql.unsafe(schema);
  await sql.end({ timeout: 5 });
}

/** Kills after a time, or as soon as it is ready; whether it was ready. */
async function killAfter(served: ServedProcess, ms: number): Promise<boolean> {
  const ready = await Promise.race([pause(ms).then(() => false), served.ready.then(() => true)]);
  await served.kill();
  return ready;
}
