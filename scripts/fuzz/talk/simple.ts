/**
 * Talk in simple queries: statements, errors, transactions, settings, notifications.
 *
 * Owns: the SQL. Does not own: the extended protocol (`extended.ts`) or COPY (`copy.ts`).
 * Invariant: nothing here changes the database for good, except rows of the table `t`, which is emptied now and then.
 */
import type { Random } from "../../../src/trace/storm/random.ts";
import { ask, functionCall, query, type Step, step } from "../frame.ts";

const statements = [
  "select 1",
  "select 1; select 2; select 3",
  "select 1; select 1/0; select 3",
  "selec",
  "",
  ";;",
  "-- nothing",
  "select 1/0",
  "select * from nowhere",
  "select n, n::text, null from generate_series(1, 50) n",
  "insert into t select generate_series(1, 3)",
  "insert into t values (1) returning n",
  "update t set n = n + 1",
  "delete from t where n > 100",
  "do $$ begin raise notice 'hello'; end $$",
  "do $$ begin raise exception 'x' using errcode = 'P0042', hint = 'none'; end $$",
  "do $$ begin begin perform 1/0; exception when others then null; end; end $$",
  "explain select * from t",
  "show all",
  "values (1, 'a'), (2, 'ä\\''), (3, null)",
  "prepare p as select $1::int; execute p(1); deallocate p",
  "execute nowhere",
  "deallocate all",
  "deallocate s1",
  "fetch c",
  "close all",
  "select pg_terminate_backend(pg_backend_pid())",
  "select pg_cancel_backend(pg_backend_pid())",
  "select pg_sleep(0.02)",
  "select pg_backend_pid(), pg_is_in_recovery(), now() is null",
  "checkpoint",
  "analyze t",
  "vacuum t",
  "copy t to stdout",
  "copy (select n from generate_series(1, 200) n) to stdout (format csv)",
  "copy t from '/nowhere'",
  "copy t to program 'true'",
] as const;

const sessions: readonly (readonly string[])[] = [
  [
    "create temp table tt(n int primary key)",
    "insert into tt values (1)",
    "insert into tt values (1)",
    "drop table tt",
  ],
  ["create temp table tt(n int) on commit drop", "begin", "create temp table uu() on commit drop", "commit"],
  ["set statement_timeout to 1000", "select pg_sleep(0.01)", "reset statement_timeout"],
  ["begin", "set local statement_timeout to 20", "select pg_sleep(0.06)", "rollback"],
  ["set statement_timeout to 20", "select pg_sleep(0.06)"],
  ["set lock_timeout to 10", "lock table t"],
  ["set idle_in_transaction_session_timeout to 30", "begin", "select 1"],
  ["set idle_session_timeout to 30", "select 1"],
  ["set transaction_timeout to 30", "begin", "select pg_sleep(0.06)"],
  ["select set_config('idle_in_transaction_session_timeout', '15', true)", "begin", "rollback"],
  ["set standard_conforming_strings to off", "select 'a\\'b'"],
  ["set role nobody", "set role none", "set session authorization postgres", "reset session authorization"],
  ["set search_path to pg_temp", "create table in_temp(n int)", "select * from in_temp", "discard all"],
  ["set client_encoding to latin1", "select 'ä'", "set client_encoding to utf8"],
  ["select pg_advisory_lock(7)", "select pg_try_advisory_lock(7)", "select pg_advisory_unlock_all()"],
  ["select pg_advisory_lock_shared(8)", "begin", "select pg_advisory_xact_lock(9)", "commit"],
  ["listen x", "notify x, 'one'", "select pg_notify('x', 'two')", "unlisten *"],
  ["listen x", "begin", "notify x", "notify x", "rollback", "listen y"],
  ["declare c cursor with hold for select generate_series(1, 9)", "fetch 3 c", "fetch all c", "close c"],
  ["begin", "declare c cursor for select n from t", "fetch 2 c", "move all c", "commit", "fetch c"],
  ["discard all"],
  ["begin", "discard all", "rollback"],
  ["prepare p(int) as select $1", "execute p(3)", "discard plans", "execute p(4)", "discard all", "execute p(5)"],
  ["begin", "lock table t in access exclusive mode", "truncate t", "rollback"],
  ["begin", "create table made(n int)", "insert into made values (1)", "rollback"],
  ["begin isolation level serializable", "select count(*) from t", "insert into t values (5)", "commit"],
  ["begin read only", "insert into t values (1)", "commit"],
  ["prepare transaction 'x'", "commit prepared 'x'"],
  ["begin", "select lo_create(0)", "rollback"],
];

/** One or a few queries, each waited for or all sent together. */
export function simpleTalk(random: Random): Step[] {
  const count = 1 + random.below(4);
  const frames = Array.from({ length: count }, () => query(random.pick(statements)));
  if (random.oneIn(6)) frames.push(functionCall(...random.pick(calls)));
  return together(random, frames);
}

const calls: readonly [number, ...string[]][] = [
  [177, "2", "3"], // int4pl
  [177, "2"],
  [177, "2", "x"],
  [2026], // pg_backend_pid
  [1, "1"],
  [4294967295],
  [2626, "0.01"], // pg_sleep
];

/** A series of statements that live on each other's session state. */
export function sessionTalk(random: Random): Step[] {
  const series = random.pick(sessions);
  return together(random, series.map(query));
}

const inside = ["insert into t values (1)", "select 1/0", "savepoint a", "savepoint b", "release a", "rollback to a"];
const ends = ["commit", "rollback", "commit and chain", "rollback and chain", "end", "abort", "begin"];

/** A transaction with savepoints and errors, ended or left open. */
export function transactionTalk(random: Random): Step[] {
  const body = Array.from({ length: 1 + random.below(5) }, () => random.pick(inside));
  const end = random.oneIn(4) ? [] : [random.pick(ends)];
  if (random.oneIn(4)) return [ask(["begin", ...body, ...end].join("; "))];
  return together(random, ["begin", ...body, ...end].map(query));
}

function together(random: Random, frames: readonly Step["frames"][number][]): Step[] {
  if (!random.oneIn(3)) return frames.map((one) => step("Z", one));
  return [step(frames.map(() => "Z").join(" "), ...frames)];
}
