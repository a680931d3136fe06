/**
 * Clients that write until their server is killed.
 *
 * Owns: their connections and transactions. Does not own: what is concluded from their notes (`ledger.ts`).
 * Invariant: every writer ends by itself once the server is gone; any error before that is a finding.
 */
import { Client } from "pg";
import postgres from "postgres";
import type { Random } from "../../src/trace/storm/random.ts";

import type { Ledger } from "./ledger.ts";

/** The tables of a run. `accounts` always adds up to zero. */
export const schema = `
  create extension if not exists amcheck;
  create table if not exists rows (writer int, n int, filler text, primary key (writer, n));
  create index if not exists rows_filler on rows (filler);
  create table if not exists accounts (id int primary key, balance bigint not null);
  insert into accounts select id, 0 from generate_series(1, 20) id on conflict do nothing;
`;

type Run = (sql: string) => Promise<unknown>;

/** Writers that are at work. */
interface Writers {
  /** Resolves when all have ended; call `stop` when the server is being killed, not before. */
  readonly ended: Promise<void>;
  /** Resolves when one of them has been answered its first transaction. */
  readonly answered: Promise<void>;
  stop(): void;
}

/** Starts `count` writers, by turns on postgres.js and on pg. `random` decides what each does. */
export function startWriters(url: string, count: number, ledger: Ledger, next: number[], random: Random): Writers {
  let stopping = false;
  const answered = Promise.withResolvers<void>();
  const work = async (writer: number) => {
    const { run, end } = writer % 2 === 0 ? postgresJs(url) : await pg(url);
    try {
      while (!stopping) {
        await writeOnce(writer, run, ledger, next, random);
        answered.resolve();
      }
    } catch (error) {
      if (!stopping) throw error;
    } finally {
      await end();
    }
  };
  const ended = Promise.all(
    Array.from({ length: count }, (_, writer) =>
      work(writer).catch((error) => {
        if (!stopping) throw new Error(`writer ${writer}: ${String(error)}`, { cause: error });
      }),
    ),
  ).then(() => {});
  ended.catch(() => {});
  return {
    ended,
    answered: answered.promise,
    stop: () => {
      stopping = true;
    },
  };
}

/** One transaction, answered or not, or a CHECKPOINT now and then. */
export async function writeOnce(
  writer: number,
  run: Run,
  ledger: Ledger,
  next: number[],
  random: Random,
): Promise<void> {
  if (random.oneIn(200)) await run("checkpoint");
  const first = next[writer] ?? 1;
  const count = random.oneIn(2) ? 1 : 1 + random.below(20);
  next[writer] = first + count;
  const values = Array.from(
    { length: count },
    (_, i) => `(${writer}, ${first + i}, '${"x".repeat(random.below(400))}')`,
  );
  const transaction = ledger.send(writer, first, count);
  const insert = `insert into rows values ${values.join(", ")}`;
  if (count === 1) await run(insert);
  else {
    const [from, to, amount] = [1 + random.below(20), 1 + random.below(20), random.below(100)];
    await run("begin");
    await run(insert);
    const changes = [
      { id: from, change: -amount },
      { id: to, change: amount },
    ];
    // In the order of their ids: with real sessions two transfers could wait for each other otherwise.
    for (const { id, change } of changes.sort((one, other) => one.id - other.id))
      await run(`update accounts set balance = balance + (${change}) where id = ${id}`);
    await run("commit");
  }
  transaction.answered = true;
}

function postgresJs(url: string): { run: Run; end: () => Promise<unknown> } {
  // One connection: a lost one rejects the statement, and with it the writer ends. The query for types, which
  // postgres.js sends by itself, would reject where nobody listens.
  const sql = postgres(url, { max: 1, onnotice: () => {}, connect_timeout: 5, max_lifetime: null, fetch_types: false });
  return { run: (text) => sql.unsafe(text), end: () => sql.end({ timeout: 0 }) };
}

async function pg(url: string): Promise<{ run: Run; end: () => Promise<unknown> }> {
  const client = new Client({ connectionString: url });
  client.on("error", () => {});
  await client.connect();
  return { run: (text) => client.query(text), end: () => client.end().catch(() => {}) };
}
