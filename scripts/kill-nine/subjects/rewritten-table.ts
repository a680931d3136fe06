/**
 * A table that is emptied, rewritten and reindexed in every way that gives it new files.
 *
 * Owns: the table with its two indexes. Its rows have ids without a gap, and values that follow from them, so that a few
 * aggregates tell whether all of them are right. Engine: REINDEX CONCURRENTLY leaves invalid indexes when it is interrupted.
 */
import type { Change, Subject } from "../subject.ts";

interface RewrittenTable {
  /** Its rows have the ids from `first` to `last`. */
  readonly first: number;
  readonly last: number;
  /** `n - id`, the same in all rows. */
  readonly added: number;
  readonly type: "integer" | "bigint";
  /** Whether it has one more column, whose values a rewrite made. */
  readonly extra: boolean;
}

const mostRows = 3000;
const upkeep = [
  "vacuum full k_rewritten",
  "vacuum (freeze) k_rewritten",
  "cluster k_rewritten using k_rewritten_pkey",
  "cluster k_rewritten using k_rewritten_n",
  "reindex table k_rewritten",
  "reindex table concurrently k_rewritten",
  "reindex index k_rewritten_pkey",
  "reindex index concurrently k_rewritten_n",
  "analyze k_rewritten",
  "checkpoint",
];

/** TRUNCATE, VACUUM FULL, CLUSTER, REINDEX, ALTER TABLE that rewrites. */
export const rewrittenTable: Subject<RewrittenTable> = {
  name: "rewritten table",
  setUp: (run) =>
    run(`create table k_rewritten (id int primary key, n int, filler text);
         create index k_rewritten_n on k_rewritten (n)`),
  initial: { first: 1, last: 0, added: 0, type: "integer", extra: false },
  next: (state, random): Change<RewrittenTable> => {
    const { first, last, type, extra } = state;
    const change = (statement: string, after: Partial<RewrittenTable>): Change<RewrittenTable> => ({
      statement: statement,
      after: { ...state, ...after },
    });
    const rows = (count: number) => {
      const values = `select id, id + ${state.added}, repeat('x', id % 300) from generate_series(${last + 1}, ${last + count}) id`;
      return `insert into k_rewritten (id, n, filler) ${values}`;
    };
    const more = 1 + random.below(400);
    if (extra && random.oneIn(2)) return change("alter table k_rewritten drop column extra", { extra: false });
    if (last - first > mostRows) {
      const truncate = random.oneIn(2) ? "truncate k_rewritten" : "truncate k_rewritten restart identity cascade";
      return random.oneIn(2)
        ? change(truncate, { first: last + 1 })
        : change(`begin; ${truncate}; ${rows(more)}; commit`, { first: last + 1, last: last + more });
    }
    switch (random.below(8)) {
      case 0:
        return change("update k_rewritten set n = n + 1", { added: last < first ? state.added : state.added + 1 });
      case 1: {
        const other = type === "integer" ? "bigint" : "integer";
        return change(`alter table k_rewritten alter n type ${other}`, { type: other });
      }
      case 2: {
        const column = "add column extra double precision not null default random()";
        return extra ? change(upkeep[0]!, {}) : change(`alter table k_rewritten ${column}`, { extra: true });
      }
      case 3: {
        const limit = Math.min(first + random.below(200), last + 1);
        return change(`delete from k_rewritten where id < ${limit}`, { first: Math.max(first, limit) });
      }
      case 4:
      case 5:
        return change(rows(more), { last: last + more });
      default:
        return change(random.pick(upkeep), {});
    }
  },
  observe: async (run) => {
    const [row] = await run(
      `select min(id) as first, max(id) as last, count(*)::int as rows, min(n - id)::int as added, max(n - id)::int as most,
       count(*) filter (where length(filler) = id % 300)::int as filled,
       (select format_type(atttypid, null) from pg_attribute where attrelid = 'k_rewritten'::regclass and attname = 'n') as type,
       (select count(*)::int from pg_attribute where attrelid = 'k_rewritten'::regclass and attname = 'extra') as extra
       from k_rewritten`,
    );
    const [first, last, rows] = [Number(row?.first ?? 1), Number(row?.last ?? 0), Number(row?.rows)];
    const isWhole = rows === last - first + 1 && row?.added === row?.most && row?.filled === rows;
    const type = row?.type === "integer" ? "integer" : "bigint";
    return { first, last, added: isWhole ? Number(row?.added ?? 0) : Number.NaN, type, extra: row?.extra === 1 };
  },
  // An empty table does not say where it was.
  matches: (found, expected) =>
    found.type === expected.type &&
    found.extra === expected.extra &&
    (expected.last < expected.first
      ? found.last < found.first && found.added === 0
      : found.first === expected.first && found.last === expected.last && found.added === expected.added),
  tidy: async (run, state) => {
    await dropInvalidIndexes(run, "k_rewritten");
    return state;
  },
};

/** What REINDEX and CREATE INDEX CONCURRENTLY leave when they are interrupted: PostgreSQL has its owner drop them. */
export async function dropInvalidIndexes(
  run: Parameters<Subject<unknown>["observe"]>[0],
  table: string,
): Promise<void> {
  const invalid = await run(
    `select indexrelid::regclass::text as name from pg_index where indrelid = '${table}'::regclass and not indisvalid`,
  );
  for (const { name } of invalid) await run(`drop index ${name}`);
}
