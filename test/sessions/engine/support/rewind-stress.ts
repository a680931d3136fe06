/**
 * Random statements of four sessions, DDL among them, on a server that is brought back to one of several marks again and again.
 *
 * Owns: the statements, the marks, what must hold behind each rewind. Does not own: how often, the engine.
 */
import { checkStorage } from "../../../../scripts/stress/inspection.ts";
import { anyStatement, stressTables, sumPrefix, totalBalance } from "../../../../scripts/stress/statements.ts";
import type { SessionHost } from "../../../../src/sessions/host.ts";
import type { Mark } from "../../../../src/sessions/rewind.ts";
import type { Random } from "../../../../src/trace/storm/random.ts";
import { SqlSession } from "./sql-session.ts";

const clients = 4;
/** What happens beside the statements of the stress; `n` is a small number. */
const others: ((n: number) => string)[] = [
  (n) =>
    `create table t${n} (id serial primary key, v text unique); insert into t${n} (v) select md5(g::text) from generate_series(1, 200) g`,
  (n) => `drop table if exists t${n}`,
  (n) => `alter table t${n} add column c${n} int default ${n}; create index on t${n} (c${n})`,
  (n) => `truncate t${n}; insert into t${n} (v) values ('a')`,
  (n) => `create database d${n}`,
  (n) => `drop database if exists d${n} with (force)`,
  (n) => `create role r${n}; grant select on accounts to r${n}`,
  (n) => `drop owned by r${n}; drop role r${n}`,
  (n) => `alter system set work_mem = '${n + 1}MB'`,
  () => "select pg_reload_conf()",
  (n) => `alter database postgres set lock_timeout = '${n + 1}s'`,
  (n) => `select lo_from_bytea(0, repeat('x', ${n * 1000})::bytea)`,
  (n) => `begin; insert into log (client, number) values (${n}, ${n}); prepare transaction 'p${n}'`,
  (n) => `commit prepared 'p${n}'`,
  (n) => `create temp table if not exists own as select ${n} as x; listen c${n}; notify c${n}`,
  (n) => `select pg_advisory_lock(${n}), pg_sleep(0.001)`,
  () => "vacuum",
  () => "vacuum full accounts",
  () => "reindex table accounts",
  () => "checkpoint",
  () => "analyze",
  (n) => `create sequence if not exists s${n}; select nextval('s${n}')`,
  (n) => `create or replace function f${n}() returns int language plpgsql as 'begin return ${n}; end'; select f${n}()`,
  (n) => `create materialized view m${n} as select * from accounts; refresh materialized view m${n}`,
];

/** Runs until there have been so many rewinds. Throws with what does not hold. */
export async function stressRewinds(host: SessionHost, random: Random, rewinds: number): Promise<void> {
  host.marks.isChecked = true;
  const first = await SqlSession.open(host);
  await first.rows("create extension if not exists amcheck");
  await first.rows(stressTables);
  await first.close();
  const marks: { mark: Mark; facts: string; free: number }[] = [];
  let [isOver, isPaused] = [false, false];
  const keep = async () => {
    // A mark ends all sessions, and what is looked at is what it has.
    isPaused = true;
    const mark = await host.mark();
    const free = host.windows.available;
    marks.push({ mark, facts: await factsOf(host), free });
    // What looked at it has written, too.
    await host.rewind(mark);
    isPaused = false;
  };
  await keep();
  const load = Array.from({ length: clients }, async () => {
    while (!isOver) {
      while (isPaused) await new Promise((resolve) => setTimeout(resolve, 1));
      const session = await SqlSession.open(host).catch(() => undefined);
      for (let status = "I"; session && status !== "ended" && !isOver && !isPaused; ) {
        const n = random.below(6);
        const sql = random.oneIn(2) ? anyStatement(random).sql : random.pick(others)(n);
        ({ status } = await session.query(random.oneIn(5) && status === "I" ? `begin; ${sql}` : sql));
        if (status !== "I" && random.oneIn(2))
          ({ status } = await session.query(random.oneIn(3) ? "rollback" : "commit"));
        if (random.oneIn(4)) await new Promise((resolve) => setImmediate(resolve));
      }
    }
  });
  for (let done = 0; done < rewinds; done++) {
    await new Promise((resolve) => setTimeout(resolve, random.below(60)));
    if (random.oneIn(12) && marks.length < 4) await keep();
    const chosen = random.pick(marks);
    const isLast = done === rewinds - 1;
    isOver = isLast;
    await host.rewind(chosen.mark);
    if (!isLast && !random.oneIn(10)) continue;
    // Nobody has begun anything yet: what is asked first is answered first.
    const facts = await factsOf(host);
    if (isLast && facts !== chosen.facts) throw new Error(`after ${done} rewinds: ${facts} instead of ${chosen.facts}`);
    if (marks.length > 1 && random.oneIn(2)) {
      const [gone] = marks.splice(random.below(marks.length), 1);
      host.marks.release(gone!.mark);
    }
  }
  await Promise.all(load);
  for (const { mark, facts, free } of marks) {
    await host.rewind(mark);
    const [found, available] = [await factsOf(host), host.windows.available];
    if (found !== facts) throw new Error(`${found} instead of ${facts}`);
    await host.rewind(mark);
    if (host.windows.available !== free) throw new Error(`${available} bytes are free instead of ${free}`);
    const session = await SqlSession.open(host);
    const { wrong } = await checkStorage((sql) => session.rows(sql));
    await session.close();
    if (wrong.length > 0) throw new Error(wrong.join("\n"));
  }
}

/** What is in the server, as a text. */
async function factsOf(host: SessionHost): Promise<string> {
  const session = await SqlSession.open(host);
  const [sum] = await session.rows("select sum(balance) from accounts");
  if (sum !== String(totalBalance)) throw new Error(`${sumPrefix}${sum}`);
  const facts = await session.rows(`select concat_ws(' ',
    (select md5(string_agg(a::text, '' order by id)) from accounts a),
    (select md5(string_agg(l::text, '' order by id)) from log l),
    (select string_agg(relname || relfilenode, ' ' order by oid) from pg_class where oid > 16383),
    (select string_agg(datname, ' ' order by 1) from pg_database),
    (select string_agg(rolname, ' ' order by 1) from pg_roles where oid > 16383),
    (select string_agg(gid, ' ' order by 1) from pg_prepared_xacts),
    (select string_agg(name || setting, ' ' order by 1) from pg_file_settings),
    (select string_agg(sequencename || coalesce(last_value, 0), ' ' order by 1) from pg_sequences),
    (select count(*) from pg_largeobject_metadata))`);
  await session.close();
  return facts.join();
}
