/**
 * Databases: made by both strategies, renamed, moved to another tablespace, written to, dropped.
 *
 * Engine: a DROP DATABASE that is interrupted leaves a database that can only be dropped (pg_database.datconnlimit is -2);
 * where databases other than `postgres` cannot be connected to, what is in them is not looked at.
 */
import type { Random } from "../../../src/trace/storm/random.ts";
import type { Change, Run, Subject } from "../subject.ts";

interface Database {
  readonly name: string;
  readonly space: string;
  /** -1: cannot be known. */
  readonly rows: number;
  /** A drop has begun. */
  readonly invalid: boolean;
}
/** By slot. A renamed database stays in its slot. */
type Databases = readonly (Database | null)[];

const slots = [0, 1, 2];
/** `object_not_in_prerequisite_state`: files of the database are in the tablespace already. */
const refusal = "55000";
const templateRows = 50;
const template = "k_template";
const otherSpace = "k_database_space";

/** The subject; `canConnect` says whether clients can use several databases. */
export function databases(canConnect: boolean): Subject<Databases> {
  const unknown = (rows: number) => (canConnect ? rows : -1);
  return {
    name: "databases",
    setUp: async (run) => {
      await run("set allow_in_place_tablespaces = on");
      await run(`create tablespace ${otherSpace} location ''`);
      await run(`create database ${template}`);
      if (canConnect) await run(`create table inside as select generate_series(1, ${templateRows}) n`, template);
    },
    initial: slots.map(() => null),
    next: (state, random) => nextChange(state, random, unknown, canConnect),
    observe: async (run) => {
      const found = await run(
        `select datname, spcname, datconnlimit from pg_database d join pg_tablespace t on t.oid = dattablespace
         where datname ~ '^k_db_' order by 1`,
      );
      const result: (Database | null)[] = slots.map(() => null);
      for (const { datname, spcname, datconnlimit } of found) {
        const name = String(datname);
        const invalid = datconnlimit === -2;
        const rows = invalid || !canConnect ? -1 : await rowsIn(run, name);
        // A second database in a slot would be one too many: it is shown behind the others.
        const slot = Number(name.at(-1));
        const database = { name, space: String(spcname), rows, invalid };
        if (result[slot]) result.push(database);
        else result[slot] = database;
      }
      return result;
    },
    tidy: async (run, state) => {
      for (const database of state) if (database?.invalid) await run(`drop database ${database.name}`);
      return state.map((database) => (database?.invalid ? null : database));
    },
  };
}

async function rowsIn(run: Run, database: string): Promise<number> {
  const [row] = await run("select count(*)::int as rows, count(distinct n)::int as numbers from inside", database);
  if (row?.rows !== row?.numbers) throw new Error(`${database}: ${row?.rows} rows, ${row?.numbers} numbers`);
  return Number(row?.rows);
}

function nextChange(
  state: Databases,
  random: Random,
  unknown: (rows: number) => number,
  canConnect: boolean,
): Change<Databases> {
  const slot = random.pick(slots);
  const database = state[slot];
  const replaced = (value: Database | null) => state.map((old, at) => (at === slot ? value : old));
  if (!database) {
    const name = `k_db_${random.pick(["a", "b"])}${slot}`;
    const strategy = random.pick(["wal_log", "file_copy"]);
    const after = replaced({ name, space: "pg_default", rows: unknown(templateRows), invalid: false });
    return { statement: `create database ${name} template ${template} strategy ${strategy}`, after };
  }
  const { name, space, rows } = database;
  const choice = random.below(canConnect ? 5 : 4);
  if (choice === 0) {
    const other = name.startsWith("k_db_a") ? `k_db_b${slot}` : `k_db_a${slot}`;
    return {
      statement: `alter database ${name} rename to ${other}`,
      after: replaced({ ...database, name: other }),
    };
  }
  if (choice === 1) {
    const other = space === otherSpace ? "pg_default" : otherSpace;
    return {
      statement: `alter database ${name} set tablespace ${other}`,
      refusal,
      after: replaced({ ...database, space: other }),
    };
  }
  if (choice === 4) {
    const insert = `insert into inside select n from generate_series(${rows + 1}, ${rows + 10}) n`;
    return { statement: insert, database: name, after: replaced({ ...database, rows: rows + 10 }) };
  }
  return {
    statement: `drop database ${name}${canConnect && random.oneIn(2) ? " with (force)" : ""}`,
    after: replaced(null),
    halfway: replaced({ ...database, rows: -1, invalid: true }),
  };
}
