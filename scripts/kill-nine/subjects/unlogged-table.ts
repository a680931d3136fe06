/**
 * An unlogged table: empty after a kill, full after a stop; and the same table made a logged one and back.
 *
 * Owns: the table with its three indexes. Engine: recovery copies the init fork over it and its indexes
 * (storage/file/reinit.c); a stop keeps what a kill loses.
 */
import type { Change, Subject } from "../subject.ts";

interface UnloggedTable {
  readonly rows: number;
  readonly logged: boolean;
}

const mostRows = 5000;

/** An unlogged table, and the same one logged. */
export const unloggedTable: Subject<UnloggedTable> = {
  name: "unlogged table",
  setUp: (run) =>
    run(`create unlogged table k_unlogged (n int primary key, tags int[]);
         create index k_unlogged_tags on k_unlogged using gin (tags);
         create index k_unlogged_hash on k_unlogged using hash (n)`),
  initial: { rows: 0, logged: false },
  next: ({ rows, logged }, random): Change<UnloggedTable> => {
    if (rows > mostRows || random.oneIn(8)) {
      return { statement: "truncate k_unlogged", after: { rows: 0, logged } };
    }
    if (random.oneIn(3)) {
      const goal = logged ? "unlogged" : "logged";
      return { statement: `alter table k_unlogged set ${goal}`, after: { rows, logged: !logged } };
    }
    const more = 1 + random.below(300);
    const insert = `insert into k_unlogged select n, array[n % 7] from generate_series(${rows + 1}, ${rows + more}) n`;
    return { statement: insert, after: { rows: rows + more, logged } };
  },
  observe: async (run) => {
    const [row] = await run(
      `select count(*)::int as rows, coalesce(max(n), 0) as last, count(*) filter (where tags = array[n % 7])::int as tagged,
       (select relpersistence = 'p' from pg_class where oid = 'k_unlogged'::regclass) as logged from k_unlogged`,
    );
    const rows = row?.rows === row?.last && row?.rows === row?.tagged ? Number(row?.rows) : -1;
    return { rows, logged: row?.logged === true };
  },
  afterKill: (state) => (state.logged ? state : { ...state, rows: 0 }),
};
