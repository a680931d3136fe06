/**
 * The cut of SQL text into statements, compared with PostgreSQL's own: random texts of tricky statements, sent whole,
 * must complete as many statements as the splitter finds, and give the same rows when sent piece by piece.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import { executeSql } from "../../src/engine/execute-sql.ts";
import { openEngine } from "../../src/engine/kept-engine.ts";
import { splitStatements } from "../../src/migrate/split-statements.ts";

const STATEMENTS = [
  "select 1",
  "select 'a;b', 'it''s; x', 'a\\'",
  "select E'a\\';b\\\\'",
  "select e'x' -- ';\n  '\\';y'",
  "select e'x' -- a '\n\t-- ;' b\n \f'\\';z'",
  "select U&'\\0041;', N';\\', B'1', x'1F'",
  "select date'2020-01-01'",
  "select 'a' --x;'\n 'b;'",
  "select $$;'$$, $a$ $b$ ; $$ $a$, $é$;$é$",
  'select ";""x" from (select 1 as ";""x") as a$b$c',
  "/* ; /* ; */ ' */ select 2 /* end; */",
  "-- ; '\nselect 3",
  "select 4/*c*/+/*;*/-5 -- tail ;\n",
  "select case when true then ';' else $$;$$ end",
  "select 1.5::text || E'\\\\'",
  "select 'é;😀' as ü",
  "values (1, ';'), (2, ')')",
  "do $$ begin perform 1; end; $$",
  "create or replace function pg_temp.f() returns int begin atomic select 1; select case when true then 1 else 2 end; end",
  "create or replace function pg_temp.g(a int default 1) returns int language sql as 'select 1; select 2'",
  "create temp table if not exists t (a int)",
  "create or replace rule r as on update to pg_temp.t do instead (select 1; select 2)",
  "create or replace view pg_temp.v as select 1 as begin, 2 as atomic",
];
const SEPARATORS = [";", "; ", ";\n", ";\r\n", ";;", " ; -- end; '\n", ";/* ; ' */", ";\n\n-- next\n"];

let engine: Engine;
beforeAll(async () => {
  engine = await openEngine({ dataDir: "memory://", extensions: [] });
  await executeSql(engine, "create temp table t (a int)");
});
afterAll(() => engine?.close());

it("finds the statements that PostgreSQL finds", async () => {
  const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);
  const random = randomFrom(seed);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
  for (let round = 0; round < 200; round++) {
    let sql = "";
    for (let n = Math.ceil(random() * 6); n > 0; n--)
      sql += pick(STATEMENTS) + (n === 1 && random() < 0.3 ? "" : pick(SEPARATORS));
    const message = `SEED=${seed}, round ${round}:\n${sql}`;
    const whole = await executeSql(engine, sql);
    const statements = splitStatements(sql);
    expect(statements.length, message).toBe(whole.length);
    for (const [i, { start, end }] of statements.entries())
      expect(await executeSql(engine, sql.slice(start, end)), message).toEqual([whole[i]]);
  }
});

/** mulberry32: numbers from 0 to 1 that only depend on the seed. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}
