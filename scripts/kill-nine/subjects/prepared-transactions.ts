/**
 * Two-phase commit: transactions that are prepared, wait across kills, and are committed or rolled back then.
 *
 * Each inserts one row and, if its number is even, makes a table.
 */
import { isDeepStrictEqual } from "node:util";
import type { Change, Subject } from "../subject.ts";

interface PreparedTransactions {
  readonly prepared: readonly number[];
  readonly committed: readonly number[];
  /** The numbers of the tables. */
  readonly tables: readonly number[];
  readonly next: number;
}

const most = 6;

/** Two-phase commit: what was prepared stays so, across any number of kills. */
export const preparedTransactions: Subject<PreparedTransactions> = {
  name: "prepared transactions",
  setUp: (run) => run("create table k_prepared (n int primary key)"),
  initial: { prepared: [], committed: [], tables: [], next: 1 },
  next: (state, random): Change<PreparedTransactions> => {
    const { prepared, committed, tables, next } = state;
    if (prepared.length === 0 || (prepared.length < most && random.oneIn(2))) {
      const table = next % 2 === 0 ? `create table k_prepared_${next} as select 1 as n; ` : "";
      return {
        statement: `begin; insert into k_prepared values (${next}); ${table}prepare transaction 'k_${next}'`,
        after: { ...state, prepared: [...prepared, next], next: next + 1 },
      };
    }
    if (committed.length > 20) {
      const drops = tables.map((n) => `drop table k_prepared_${n}; `).join("");
      return {
        statement: `begin; delete from k_prepared; ${drops}commit`,
        after: { ...state, committed: [], tables: [] },
      };
    }
    const chosen = random.pick(prepared);
    const left = prepared.filter((n) => n !== chosen);
    if (random.oneIn(3)) return { statement: `rollback prepared 'k_${chosen}'`, after: { ...state, prepared: left } };
    return {
      statement: `commit prepared 'k_${chosen}'`,
      after: {
        ...state,
        prepared: left,
        committed: sorted([...committed, chosen]),
        tables: chosen % 2 === 0 ? sorted([...tables, chosen]) : tables,
      },
    };
  },
  observe: async (run) => {
    const numbers = async (sql: string) => sorted((await run(sql)).map(({ n }) => Number(n)));
    const prepared = await numbers("select substr(gid, 3)::int as n from pg_prepared_xacts");
    const committed = await numbers("select n from k_prepared");
    const tables = await numbers(
      "select substr(relname, 12)::int as n from pg_class where relname ~ '^k_prepared_\\d+$' and relkind = 'r'",
    );
    for (const n of tables) await run(`select 1 / count(*) from k_prepared_${n}`);
    return { prepared, committed, tables, next: Math.max(0, ...prepared, ...committed, ...tables) + 1 };
  },
  // The number of one that was rolled back may come again.
  matches: (found, expected) => isDeepStrictEqual({ ...found, next: 0 }, { ...expected, next: 0 }),
};

function sorted(numbers: readonly number[]): readonly number[] {
  return [...numbers].sort((one, other) => one - other);
}
