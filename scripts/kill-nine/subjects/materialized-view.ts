/**
 * A materialized view: made, refreshed, concurrently too, dropped.
 *
 * Owns: the view and its table. The view has the rows that the table had at the last refresh, whatever became of the
 * table since.
 */
import type { Change, Subject } from "../subject.ts";

interface MaterializedView {
  /** The rows of its table. */
  readonly rows: number;
  /** Its own; null if it is not there. */
  readonly shown: number | null;
}

const mostRows = 3000;

/** A materialized view: it shows its table as it was at the last refresh. */
export const materializedView: Subject<MaterializedView> = {
  name: "materialized view",
  setUp: (run) => run("create table k_viewed (n int)"),
  initial: { rows: 0, shown: null },
  next: (state, random): Change<MaterializedView> => {
    const { rows, shown } = state;
    if (rows > mostRows) return { statement: "truncate k_viewed", after: { ...state, rows: 0 } };
    if (random.oneIn(3)) {
      const more = 1 + random.below(300);
      const insert = `insert into k_viewed select n from generate_series(${rows + 1}, ${rows + more}) n`;
      return { statement: insert, after: { ...state, rows: rows + more } };
    }
    if (shown === null) {
      const make = "create materialized view k_view as select n, n * 2 as twice from k_viewed";
      return {
        statement: `begin; ${make}; create unique index k_view_n on k_view (n); commit`,
        after: { rows, shown: rows },
      };
    }
    if (random.oneIn(5)) return { statement: "drop materialized view k_view", after: { rows, shown: null } };
    const how = random.oneIn(2) ? "concurrently " : "";
    return { statement: `refresh materialized view ${how}k_view`, after: { rows, shown: rows } };
  },
  observe: async (run) => {
    const whole = async (table: string, value: string) => {
      const [row] = await run(
        `select count(*)::int as rows, coalesce(max(n), 0) as last, coalesce(sum(${value}), 0)::int as sum from ${table}`,
      );
      const rows = Number(row?.rows);
      return row?.last === rows && row?.sum === (rows * (rows + 1)) / 2 ? rows : -1;
    };
    const [there] = await run("select to_regclass('k_view') is not null as there");
    return { rows: await whole("k_viewed", "n"), shown: there?.there ? await whole("k_view", "twice / 2") : null };
  },
};
