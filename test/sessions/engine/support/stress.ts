/**
 * A seeded random load on many sessions with invariants that a single lost or doubled write breaks.
 *
 * Owns: what the sessions do, and the counts that must come out. Does not own: the engine, or how long it runs.
 * The load: transfers in all isolation levels with savepoints, hot rows, SELECT FOR UPDATE, NOWAIT and SKIP LOCKED, bulk
 * updates, temporary tables, DDL, caught errors in PL/pgSQL, cancels, sessions that come and go. Every transaction that
 * answers its COMMIT writes one row of `log`, and is counted here.
 */
import type { SessionHost } from "../../../../src/engine/thread/sessions/host.ts";
import type { Random } from "../../../support/random.ts";
import { SqlSession } from "./sql-session.ts";

const accounts = 20;
const openingBalance = 1000;

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

/** Errors that the load provokes, as on any PostgreSQL; 23505 is two that create one table at once. */
const expected = new Set(["40001", "40P01", "55P03", "57014", "25P02", "42P01", "42P07", "0A000", "23505"]);

export async function prepareStress(session: SqlSession): Promise<void> {
  await session.rows(`create table accounts (id int primary key, balance int not null, pad text default repeat('x', 100));
    create index on accounts (balance);
    create table log (id bigserial primary key, client int not null, number int not null, unique (client, number));
    insert into accounts (id, balance) select g, ${openingBalance} from generate_series(1, ${accounts}) g`);
}

/** Runs `clients` sessions until `milliseconds` have passed, then checks the sum and the log. */
export async function runStress(
  host: SessionHost,
  random: Random,
  clients: number,
  milliseconds: number,
): Promise<StressCounts> {
  const counts: StressCounts = { statements: 0, committed: 0, errors: {}, wrongSums: [], sessionsOpened: 0 };
  const end = performance.now() + milliseconds;
  const open: (SqlSession | undefined)[] = [];
  const client = async (number: number) => {
    let session = await SqlSession.open(host);
    counts.sessionsOpened++;
    for (let transaction = 0; performance.now() < end; transaction++) {
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
  const run = async (sql: string) => {
    counts.statements++;
    const answer = await session.query(sql);
    if (!answer.error) return answer;
    counts.errors[answer.error] = (counts.errors[answer.error] ?? 0) + 1;
    if (!expected.has(answer.error) && !answer.message.startsWith("tuple concurrently"))
      throw new Error(`${answer.error} ${answer.message} ${answer.detail} in: ${sql}`);
    return answer;
  };
  const level = random.of(["read committed", "read committed", "repeatable read", "serializable"]);
  await run(`begin isolation level ${level}`);
  let failed = false;
  for (let steps = 1 + random.below(4); steps > 0 && !failed; steps--) {
    const answer = await run(random.of(statements)(random));
    failed = answer.status === "E";
    const [sum] = answer.rows;
    if (sum?.startsWith("sum ") && sum !== `sum ${accounts * openingBalance}`)
      counts.wrongSums.push(`${level}: ${sum}`);
  }
  if (failed || random.oneIn(8)) return void (await run("rollback"));
  const logged = await run(`insert into log (client, number) values (${client}, ${transaction})`);
  if (logged.error) return void (await run("rollback"));
  if (!(await run("commit")).error) counts.committed++;
}

const account = (random: Random) => (random.oneIn(2) ? 1 + random.below(3) : 1 + random.below(accounts));

const transfer = (random: Random) => {
  const amount = random.below(50);
  return `with moved as (select ${account(random)} as source, ${account(random)} as target)
    update accounts set balance = balance
      + case when id = target and source <> target then ${amount} else 0 end
      - case when id = source and source <> target then ${amount} else 0 end
    from moved where id in (source, target)`;
};

const statements: ((random: Random) => string)[] = [
  transfer,
  transfer,
  (random) => `savepoint s; ${transfer(random)}; rollback to s; ${transfer(random)}`,
  () => "select 'sum ' || sum(balance) from accounts",
  (random) => `select id from accounts where id = ${account(random)} for update`,
  (random) => `select id from accounts where id = ${account(random)} for update nowait`,
  () => "select id from accounts order by id limit 3 for update skip locked",
  () => "update accounts set pad = repeat(chr(97 + (random() * 25)::int), 100) where id % 3 = 0",
  (random) =>
    `do $$ begin begin ${transfer(random)}; perform 1 / 0; exception when division_by_zero then null; end; end $$`,
  () =>
    "create temp table if not exists scratch (x int) on commit drop; insert into scratch select generate_series(1, 50)",
  (random) => `create table if not exists made_${random.below(3)} (x int primary key)`,
  (random) => `drop table if exists made_${random.below(3)}`,
  (random) => `select pg_advisory_xact_lock(${random.below(3)})`,
  (random) => `select pg_sleep(${random.below(3) / 1000})`,
  () => "select count(*) from pg_locks l join pg_stat_activity a using (pid)",
];

/** What is wrong with the tables after the load; empty if nothing is. Needs the extension amcheck. */
export async function damage(session: SqlSession, committed: number): Promise<string[]> {
  const found = [
    ...(await session.rows(
      `select 'sum is ' || sum(balance) from accounts having sum(balance) <> ${accounts * openingBalance}`,
    )),
    ...(await session.rows(`select 'log has ' || count(*) || ' rows' from log having count(*) <> ${committed}`)),
  ];
  await session.rows("create extension if not exists amcheck");
  await session.rows(`select bt_index_check(c.oid, true) from pg_class c join pg_am a on a.oid = c.relam
    where a.amname = 'btree' and c.relkind = 'i' and c.relpersistence <> 't'`);
  const corrupt = await session.rows(`select c.relname || ': ' || v.msg from pg_class c,
    lateral verify_heapam(c.oid) v where c.relkind in ('r', 't') and c.relpersistence <> 't'`);
  return [...found, ...corrupt];
}
