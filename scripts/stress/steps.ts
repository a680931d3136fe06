/**
 * What a client does in a transaction beyond single statements: several in a row, whose answers are looked at.
 *
 * Owns: the steps in a transaction and their tables. Does not own: single statements (`statements.ts`), what is outside of
 * transactions (`lone-steps.ts`), or what becomes of an error (`worker.ts`).
 * Invariant: a step leaves nothing in its session that outlives the transaction.
 */
import type { Random } from "../../src/trace/storm/random.ts";
import type { Copy } from "./session.ts";
import { anyAccount, anyStatement, ddlRaces, sumPrefix, totalBalance, transfer } from "./statements.ts";

/** The tables of these steps, beside those of the statements. */
export const stepTables = `
  create table copied (batch text not null, n int not null, words text, primary key (batch, n));
  create table blobs (id text primary key, object oid not null, digest text not null);
  create role stress_reader; create role stress_writer;
  grant select on all tables in schema public to stress_reader;
  grant select, insert, update, delete on all tables in schema public to stress_writer;
  create extension if not exists amcheck`;

/** What a step works with. */
export interface StepContext {
  /** Of the session's backend. */
  readonly pid: number;
  readonly random: Random;
  /** Which no other transaction has. */
  readonly name: string;
  /** Runs a simple Query; rejects with its error. */
  run(sql: string): Promise<readonly string[]>;
  /** Runs a prepared statement; rejects with its error. */
  execute(sql: string, values: readonly unknown[]): Promise<readonly string[]>;
  /** COPY FROM STDIN and TO STDOUT, where the driver can. */
  readonly copy: Copy | undefined;
  /** Says that an answer was wrong. */
  wrong(text: string): void;
}

/** A step of a client. */
export interface Step {
  /** Under which it is counted. */
  readonly kind: string;
  /** The SQLSTATEs that it may end with because of what it does. */
  readonly provokes: readonly string[];
  run(context: StepContext): Promise<void>;
}

/** Says so if the rows are not these. */
export function expectRows(context: StepContext, what: string, rows: readonly string[], wanted: string): void {
  if (rows.join(",") !== wanted) context.wrong(`${what}: ${JSON.stringify(rows.join(","))} is not ${wanted}`);
}

/** Chooses a step for a transaction. */
export function anyStep(random: Random): Step {
  return random.oneIn(3) ? random.pick(steps) : statementStep(random);
}

function statementStep(random: Random): Step {
  const { kind, sql, provokes } = anyStatement(random);
  return {
    kind,
    provokes,
    run: async (context) => {
      const rows = await context.run(sql);
      if (rows[0]?.startsWith(sumPrefix)) expectRows(context, kind, rows, `${sumPrefix}${totalBalance}`);
    },
  };
}

/** COPY needs a driver that settles it. */
const copyIn: Step = {
  kind: "copy in",
  provokes: [],
  run: async (context) => {
    const { copy, random, name } = context;
    const count = 1 + random.below(300);
    const lines = Array.from({ length: count }, (_, n) => `${name}\t${n}\t${"word ".repeat(random.below(20))}\n`);
    if (!copy) {
      await context.run(`insert into copied select '${name}', n, 'word' from generate_series(0, ${count - 1}) n
        on conflict (batch, n) do nothing`);
    } else {
      await context.run(`delete from copied where batch = '${name}'`);
      await copy.in("copy copied from stdin", lines.join(""));
    }
    const rows = await context.run(`select count(*) from copied where batch = '${name}'`);
    if (Number(rows[0]) < count) context.wrong(`copied ${count} rows, ${rows[0]} are there`);
    if (!random.oneIn(10)) await context.run(`delete from copied where batch = '${name}'`);
  },
};

const copyOut: Step = {
  kind: "copy out",
  provokes: [],
  run: async (context) => {
    const text = await context.copy?.out("copy (select balance, pad from accounts) to stdout");
    if (text === undefined) return;
    const lines = text.trimEnd().split("\n");
    const sum = lines.reduce((total, line) => total + Number.parseInt(line, 10), 0);
    expectRows(context, "the sum of a COPY TO", [String(sum)], String(totalBalance));
  },
};

const cursor: Step = {
  kind: "cursor",
  provokes: [],
  run: async (context) => {
    await context.run("declare slowly cursor for select balance from accounts");
    let sum = 0;
    for (;;) {
      const rows = await context.run("fetch 6 slowly");
      for (const row of rows) sum += Number(row);
      if (rows.length === 0) break;
      // What the transaction itself writes is not seen by the cursor either.
      if (context.random.oneIn(3)) await context.run(transfer(context.random));
    }
    await context.run("close slowly");
    expectRows(context, "the sum of a cursor", [String(sum)], String(totalBalance));
  },
};

const prepared: Step = {
  kind: "prepared",
  provokes: [],
  run: async (context) => {
    const id = anyAccount(context.random);
    await context.execute("select balance from accounts where id = $1", [id]);
    await context.execute("update accounts set pad = $2 where id = $1", [id, `of ${context.name}`]);
    // More rows than a portal gives at once.
    const rows = await context.execute("select balance from accounts where id > $1", [0]);
    const sum = rows.reduce((total, row) => total + Number(row), 0);
    expectRows(context, "the sum of a portal", [String(sum)], String(totalBalance));
  },
};

const twoReads: Step = {
  kind: "transfer in two parts",
  provokes: [],
  run: async (context) => {
    const { random } = context;
    const [source, target, amount] = [anyAccount(random), anyAccount(random), random.below(100)];
    await context.run(`select balance from accounts where id = ${source} for update`);
    await context.run(`update accounts set balance = balance - ${amount} where id = ${source}`);
    await context.run(`update accounts set balance = balance + ${amount} where id = ${target}`);
    expectRows(context, "the sum", await context.run("select sum(balance) from accounts"), String(totalBalance));
  },
};

const largeObject: Step = {
  kind: "large object",
  provokes: [],
  run: async (context) => {
    const { random, name } = context;
    const id = `${name}/${random.below(1_000_000)}`;
    const size = 1 + random.below(9_000);
    await context.run(`insert into blobs select '${id}', lo_from_bytea(0, content), md5(content)
      from (select convert_to(repeat('${id}', ${Math.ceil(size / id.length)}), 'UTF8') as content)`);
    const read = await context.run(`select md5(lo_get(object)) = digest from blobs where id = '${id}'`);
    expectRows(context, "a large object", read, "true");
    await context.run(`with gone as (delete from blobs where id = (select min(id) from blobs) returning object)
      select lo_unlink(object) from gone`);
  },
};

const statementTimeout: Step = {
  kind: "statement_timeout",
  provokes: ["57014"],
  run: async (context) => {
    const milliseconds = 1 + context.random.below(20);
    await context.run(`set local statement_timeout = ${milliseconds}`);
    await context.run("select pg_sleep(20)");
    context.wrong("pg_sleep(20) went through in spite of statement_timeout");
  },
};

const lockTimeout: Step = {
  kind: "lock_timeout",
  provokes: ["55P03"],
  run: async (context) => {
    await context.run(`set local lock_timeout = ${1 + context.random.below(20)}`);
    await context.run(transfer(context.random));
    await context.run("set local lock_timeout = 0");
  },
};

const localRole: Step = {
  kind: "local role",
  provokes: [],
  run: async (context) => {
    await context.run("savepoint before_role");
    await context.run("set local role stress_reader");
    expectRows(context, "current_user", await context.run("select current_user"), "stress_reader");
    const denied = await context.run("select count(*) from pg_authid").then(
      () => false,
      (error) => {
        if (error.code !== "42501") throw error;
        return true;
      },
    );
    if (!denied) context.wrong("stress_reader may read pg_authid");
    await context.run("rollback to before_role");
    expectRows(context, "current_user", await context.run("select current_user"), "postgres");
  },
};

const tableWithData: Step = {
  kind: "table of a transaction",
  provokes: ddlRaces,
  run: async (context) => {
    const table = `own_${context.random.below(5)}`;
    await context.run(
      `create table ${table} as select g as x, repeat('y', 500) as filler from generate_series(1, 200) g`,
    );
    await context.run(`create index on ${table} (x); alter table ${table} add column z text default 'z'`);
    const count = await context.run(`select count(*) from ${table} where x between 1 and 200 and z = 'z'`);
    expectRows(context, "rows of a new table", count, "200");
    if (context.random.oneIn(2)) await context.run(`truncate ${table}`);
    await context.run(`drop table ${table}`);
  },
};

const truncateCopied: Step = {
  kind: "truncate copied",
  provokes: [],
  run: async (context) => {
    if (context.random.oneIn(20)) await context.run("truncate copied");
  },
};

const steps: readonly Step[] = [
  ...[copyIn, copyIn, copyOut, cursor, prepared, prepared, twoReads, twoReads, twoReads, largeObject, lockTimeout],
  ...[statementTimeout, localRole, tableWithData, truncateCopied],
];
