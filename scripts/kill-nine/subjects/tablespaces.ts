/**
 * Tablespaces in the data directory: made, a table made in them, moved out and in again, dropped.
 *
 * Owns: three of them, each with at most one table. Does not own: databases in a tablespace (`databases.ts`).
 * A LOCATION elsewhere is no part of a data directory, so only those that `allow_in_place_tablespaces` allows are made.
 */
import type { Change, Subject } from "../subject.ts";

interface Space {
  /** The rows of its table; null if it has none. */
  readonly rows: number | null;
  /** Whether the table lies in it. */
  readonly inside: boolean;
  /** It has no directory any more: DROP TABLESPACE removes that before its commit (commands/tablespace.c, DropTableSpace). */
  readonly isGone?: true;
}
/** By slot. */
type Spaces = readonly (Space | null)[];

const slots = [0, 1, 2];
/** `object_not_in_prerequisite_state`: it is not empty. */
const refusal = "55000";

/** Tablespaces and a table in each. */
export const tablespaces: Subject<Spaces> = {
  name: "tablespaces",
  setUp: () => Promise.resolve(),
  initial: slots.map(() => null),
  settings: "set allow_in_place_tablespaces = on",
  next: (state, random): Change<Spaces> => {
    const slot = random.pick(slots);
    const space = state[slot];
    const replaced = (value: Space | null) => state.map((old, at) => (at === slot ? value : old));
    const name = `k_space_${slot}`;
    const table = `k_in_space_${slot}`;
    if (!space) {
      return {
        statement: `create tablespace ${name} location ''`,
        after: replaced({ rows: null, inside: false }),
      };
    }
    if (space.rows === null) {
      if (random.oneIn(2)) {
        const halfway = replaced({ rows: null, inside: false, isGone: true });
        return { statement: `drop tablespace ${name}`, after: replaced(null), halfway, refusal };
      }
      const rows = 1 + random.below(500);
      return {
        statement: `create table ${table} tablespace ${name} as select n from generate_series(1, ${rows}) n`,
        after: replaced({ rows, inside: true }),
      };
    }
    if (random.oneIn(2)) return { statement: `drop table ${table}`, after: replaced({ rows: null, inside: false }) };
    const goal = space.inside ? "pg_default" : name;
    return {
      statement: `alter table ${table} set tablespace ${goal}`,
      after: replaced({ ...space, inside: !space.inside }),
    };
  },
  observe: async (run) => {
    const found = await run(
      `select right(s.spcname, 1)::int as slot, c.relname as table, c.reltablespace = s.oid as inside,
         pg_tablespace_size(s.oid) is null as gone
       from pg_tablespace s left join pg_class c on c.relname = 'k_in_space_' || right(s.spcname, 1)
       where s.spcname ~ '^k_space_'`,
    );
    const result: (Space | null)[] = slots.map(() => null);
    for (const { slot, table, inside, gone } of found) {
      const [rows] = table === null ? [] : await run(`select count(*)::int as count from ${table}`);
      const space = { rows: rows ? Number(rows.count) : null, inside: inside === true };
      result[Number(slot)] = gone ? { ...space, isGone: true } : space;
    }
    return result;
  },
  tidy: async (run, state) => {
    for (const [slot, space] of state.entries()) if (space?.isGone) await run(`drop tablespace k_space_${slot}`);
    return state.map((space) => (space?.isGone ? null : space));
  },
};
