/**
 * The statements of the stress (`scripts/stress/statements.ts`) on sessions of an engine without sockets.
 *
 * Owns: what the sessions do besides: cancels, sessions that come and go, and the counts that must come out. Does not own:
 * the statements, the engine, or how long it runs. Every transaction that answers its COMMIT writes one row of `log`, and is
 * counted here.
 */
import { checkStorage, checkTotals } from "../../../../scripts/stress/inspection.ts";
import {
  alwaysExpected,
  anyStatement,
  isCatalogueRace,
  stressTables,
  sumPrefix,
  totalBalance,
} from "../../../../scripts/stress/statements.ts";
import type { SessionHost } from "../../../../src/sessions/host.ts";
import type { Random } from "../../../../src/trace/storm/random.ts";
import { SqlSession } from "./sql-session.ts";

/** What happened. */
export interface StressCounts {
  statements: number;
  committed: number;
  /** By SQLSTATE. */
  errors: Record<string, number>;
  /** Sums that were read and were not the total. */
  wrongSums: string[];
  sessionsOpened: number;
}

export async function prepareStress(session: SqlSession): Promise<void> {
  await session.rows(stressTables);
}

/** Runs `clients` sessions until `milliseconds` have passed and `isEnough`, then checks the sum and the log. */
export async function runStress(
  host: SessionHost,
  random: Random,
  clients: number,
  milliseconds: number,
  isEnough: (counts: StressCounts) => boolean = () => true,
): Promise<StressCounts> {
  const counts: StressCounts = { statements: 0, committed: 0, errors: {}, wrongSums: [], sessionsOpened: 0 };
  const end = performance.now() + milliseconds;
  const open: (SqlSession | undefined)[] = [];
  const client = async (number: number) => {
    let session = await SqlSession.open(host);
    counts.sessionsOpened++;
    for (let transaction = 0; performance.now() < end || !isEnough(counts); transaction++) {
      open[number] = session;
      await runTransaction(session, random, counts, number, transaction);
      if (random.oneIn(40)) {
        if (random.oneIn(2)) await session.query("begin; update accounts set balance = balance + 1 where id = 1");
        await session.close();
        session = await SqlSession.open(host);
        counts.sessionsOpened++;
      }
      if (random.oneIn(25)) {
        const other = open[random.below(clients)];
        if (other) host.cancel(other.session);
      }
      // Lets the timers and the others' answers in.
      if (random.oneIn(4)) await new Promise((resolve) => setImmediate(resolve));
    }
    await session.close();
  };
  await Promise.all(Array.from({ length: clients }, (_, number) => client(number)));
  return counts;
}

async function runTransaction(
  session: SqlSession,
  random: Random,
  counts: StressCounts,
  client: number,
  transaction: number,
): Promise<void> {
  const run = async (sql: string, provokes: readonly string[] = []) => {
    counts.statements++;
    const answer = await session.query(sql);
    if (!answer.error) return answer;
    counts.errors[answer.error] = (counts.errors[answer.error] ?? 0) + 1;
    // Everybody may be cancelled.
    const expected = [...provokes, ...alwaysExpected, "57014"].includes(answer.error);
    if (!expected && !isCatalogueRace(answer.error, answer.message))
      throw new Error(`${answer.error} ${answer.message} ${answer.detail} in: ${sql}`);
    return answer;
  };
  const level = random.pick(["read committed", "read committed", "repeatable read", "serializable"]);
  let failed = (await run(`begin isolation level ${level}`)).error !== undefined;
  for (let steps = 1 + random.below(4); steps > 0 && !failed; steps--) {
    const { sql, provokes } = anyStatement(random);
    const answer = await run(sql, provokes);
    failed = answer.error !== undefined;
    const [sum] = answer.rows;
    if (sum?.startsWith(sumPrefix) && sum !== `${sumPrefix}${totalBalance}`) counts.wrongSums.push(`${level}: ${sum}`);
  }
  if (failed || random.oneIn(8)) return void (await run("rollback"));
  const logged = await run(`insert into log (client, number) values (${client}, ${transaction})`);
  if (logged.error) return void (await run("rollback"));
  if (!(await run("commit")).error) counts.committed++;
}

/** What is wrong with the tables after the load; empty if nothing is. Needs the extension amcheck. */
export async function damage(session: SqlSession, committed: number): Promise<string[]> {
  const ask = (sql: string) => session.rows(sql);
  await ask("create extension if not exists amcheck");
  const rows = await ask(`select 'log has ' || count(*) || ' rows' from log having count(*) <> ${committed}`);
  return [...rows, ...(await checkTotals(ask)), ...(await checkStorage(ask)).wrong];
}
