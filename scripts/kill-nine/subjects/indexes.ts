/**
 * Indexes of every kind, made, made anew and dropped, concurrently too, while their table is written to.
 *
 * Owns: their definitions, and a question to each that it must answer as the table does. Does not own: amcheck of them
 * (`../check-database.ts`). Engine: CREATE, REINDEX and DROP INDEX CONCURRENTLY leave invalid indexes when they are interrupted.
 */
import type { Change, Run, Subject } from "../subject.ts";
import { dropInvalidIndexes } from "./rewritten-table.ts";

interface Indexes {
  readonly rows: number;
  /** The names of the valid ones, sorted. */
  readonly names: readonly string[];
}

/** What follows `create index NAME on k_indexed`, and what the index is asked. */
const kinds: Readonly<Record<string, { readonly on: string; readonly where: string; readonly unique?: boolean }>> = {
  btree: { on: "(n)", where: "n = 3" },
  unique: { on: "(id)", where: "id between 10 and 90", unique: true },
  partial: { on: "(id) where n = 4", where: "n = 4 and id > 0" },
  expression: { on: "((n * 2))", where: "n * 2 = 6" },
  including: { on: "(n) include (label)", where: "n = 5" },
  hash: { on: "using hash (label)", where: "label = 'l3'" },
  gin: { on: "using gin (tags)", where: "tags @> array[3]" },
  gist: { on: "using gist (spot)", where: "spot <@ box '(0,0),(3,3)'" },
  gist_range: { on: "using gist (span)", where: "span @> 50" },
  spgist: { on: "using spgist (label)", where: "label = 'l7'" },
  spgist_point: { on: "using spgist (spot)", where: "spot <@ box '(4,4),(6,6)'" },
  brin: { on: "using brin (id) with (pages_per_range = 2)", where: "id between 20 and 60" },
};
const mostRows = 3000;
const nameOf = (kind: string) => `k_indexed_${kind}`;

/** Indexes: each must find what the table has. */
export const indexes: Subject<Indexes> = {
  name: "indexes",
  setUp: (run) => run("create table k_indexed (id int, n int, label text, tags int[], spot point, span int4range)"),
  initial: { rows: 0, names: [] },
  next: (state, random): Change<Indexes> => {
    const { rows, names } = state;
    if (rows > mostRows) return { statement: "truncate k_indexed", after: { ...state, rows: 0 } };
    if (random.oneIn(3)) {
      const more = 1 + random.below(200);
      const values =
        "id, id % 10, 'l' || id % 10, array[id % 10, id % 7], point(id % 10, id % 10), int4range(id, id + 10)";
      const insert = `insert into k_indexed select ${values} from generate_series(${rows + 1}, ${rows + more}) id`;
      return { statement: insert, after: { ...state, rows: rows + more } };
    }
    const kind = random.pick(Object.keys(kinds));
    const name = nameOf(kind);
    const how = random.oneIn(2) ? "concurrently " : "";
    if (names.includes(name)) {
      if (random.oneIn(3)) return { statement: `reindex index ${how}${name}`, after: state };
      const after = { rows, names: names.filter((other) => other !== name) };
      return { statement: `drop index ${how}${name}`, after };
    }
    const { on, unique } = kinds[kind]!;
    return {
      statement: `create ${unique ? "unique " : ""}index ${how}${name} on k_indexed ${on}`,
      after: { rows, names: [...names, name].sort() },
    };
  },
  observe: async (run) => {
    const [table] = await run("select count(*)::int as rows, coalesce(max(id), 0) as last from k_indexed");
    const valid = await run(
      `select indexrelid::regclass::text as name from pg_index
       where indrelid = 'k_indexed'::regclass and indisvalid order by 1`,
    );
    const names = valid.map(({ name }) => String(name)).sort();
    const wrong: string[] = [];
    for (const name of names) {
      const { where } = Object.entries(kinds).find(([kind]) => nameOf(kind) === name)?.[1] ?? {};
      if (where === undefined) continue;
      const [byIndex, byTable] = [await count(run, where, true), await count(run, where, false)];
      if (byIndex !== byTable) wrong.push(`${name}: ${byIndex} of ${byTable}`);
    }
    return { rows: table?.rows === table?.last ? Number(table?.rows) : -1, names: [...names, ...wrong] };
  },
  tidy: async (run, state) => {
    await dropInvalidIndexes(run, "k_indexed");
    return state;
  },
};

async function count(run: Run, where: string, byIndex: boolean): Promise<number> {
  const [own, other] = byIndex ? ["on", "off"] : ["off", "on"];
  const settings = `set local enable_indexscan = ${own}; set local enable_bitmapscan = ${own}; set local enable_indexonlyscan = ${own}; set local enable_seqscan = ${other}`;
  const [row] = await run(`begin; ${settings}; select count(*)::int as count from k_indexed where ${where}; commit`);
  return Number(row?.count);
}
