/**
 * What a client does outside of transactions: commands that refuse to run in one, and what a session keeps between them.
 *
 * Owns: these steps. Does not own: steps in a transaction (`steps.ts`), or what becomes of an error (`worker.ts`).
 * Invariant: a step that succeeds leaves nothing in its session but prepared statements. One that fails may, and its session is then closed.
 */
import type { Random } from "../../src/trace/storm/random.ts";
import { anyAccount, ddlRaces, sumPrefix, totalBalance } from "./statements.ts";
import { expectRows, type Step } from "./steps.ts";

/** Chooses a step. */
export function anyLoneStep(random: Random): Step {
  return random.pick(steps);
}

/** A command by itself. */
function command(kind: string, sql: (random: Random) => string, provokes: readonly string[] = []): Step {
  return {
    kind,
    provokes,
    run: async (context) => {
      await context.run(sql(context.random));
    },
  };
}

const listen: Step = {
  kind: "listen",
  provokes: [],
  run: async (context) => {
    const channel = `own_${context.pid}`;
    await context.run(`listen ${channel}`);
    expectRows(context, "channels", await context.run("select pg_listening_channels()"), channel);
    await context.run(`notify ${channel}, 'to myself'`);
    await context.run("unlisten *");
    expectRows(context, "channels", await context.run("select count(*) from pg_listening_channels()"), "0");
  },
};

const settings: Step = {
  kind: "settings",
  provokes: [],
  run: async (context) => {
    const { pid, random, name } = context;
    // Not a multiple of 1024, which would be shown in MB.
    const memory = 10_001 + 2 * pid;
    await context.run(`set work_mem = ${memory}; set stress.mark = '${name}'; set role stress_writer`);
    const look = "select current_user, current_setting('work_mem'), current_setting('stress.mark')";
    for (let times = 1 + random.below(3); times > 0; times--) {
      const rows = await context.run(`${look}; select * from (${look})`);
      expectRows(context, "settings", rows, `stress_writer|${memory}kB|${name}`);
    }
    await context.run(`update accounts set pad = 'written' where id = ${anyAccount(random)}`);
    await context.run("reset role; reset work_mem; reset stress.mark");
  },
};

const sessionTable: Step = {
  kind: "temporary table of a session",
  provokes: [],
  run: async (context) => {
    const { random } = context;
    const count = 1 + random.below(2_000);
    await context.run(`create temp table mine (x int primary key, filler text);
      insert into mine select g, repeat('m', 100) from generate_series(1, ${count}) g; analyze mine`);
    expectRows(context, "own rows", await context.run("select count(*), sum(x) from mine"), sumsTo(count));
    await context.run("create table shadow.accounts (id int)").then(
      () => context.wrong("there is a schema shadow"),
      (error) => {
        if (error.code !== "3F000") throw error;
      },
    );
    await context.run("drop table mine");
  },
};

function sumsTo(count: number): string {
  return `${count}|${(count * (count + 1)) / 2}`;
}

const holdCursor: Step = {
  kind: "cursor with hold",
  provokes: [],
  run: async (context) => {
    await context.run("declare held cursor with hold for select balance from accounts");
    let sum = 0;
    for (let rows = await context.run("fetch 9 held"); rows.length > 0; rows = await context.run("fetch 9 held")) {
      for (const row of rows) sum += Number(row);
    }
    await context.run("close held");
    expectRows(context, "the sum of a held cursor", [String(sum)], String(totalBalance));
  },
};

const advisory: Step = {
  kind: "advisory lock of a session",
  provokes: [],
  run: async (context) => {
    const key = context.random.below(3);
    const [isMine] = await context.run(`select pg_try_advisory_lock(${key})`);
    if (isMine !== "true") return;
    const count = `select count(*) from pg_locks where locktype = 'advisory' and granted and objid = ${key}
      and pid = pg_backend_pid()`;
    expectRows(context, "own advisory locks", await context.run(count), "1");
    expectRows(context, "unlocking", await context.run(`select pg_advisory_unlock(${key})`), "true");
  },
};

/** A plan that is used while others change its table, under a name that is not used again. */
const plansAcrossDdl: Step = {
  kind: "prepared across DDL",
  provokes: [...ddlRaces, "0A000"],
  run: async (context) => {
    const table = `made_${context.random.below(4)}`;
    const sql = `select * /* ${context.name} */ from ${table} where x < $1`;
    for (let times = 3; times > 0; times--) {
      await context.execute(sql, [1_000]);
      await context.run(`select pg_sleep(0.002)`);
    }
  },
};

const lonelySum: Step = {
  kind: "sum alone",
  provokes: [],
  run: async (context) => {
    const rows = await context.run(`select '${sumPrefix}' || sum(balance) from accounts`);
    expectRows(context, "sum", rows, `${sumPrefix}${totalBalance}`);
  },
};

const made = (random: Random) => `made_${random.below(4)}`;

const steps: readonly Step[] = [
  ...[listen, listen, settings, settings, settings, sessionTable, sessionTable, holdCursor, advisory, advisory],
  ...[plansAcrossDdl, plansAcrossDdl, lonelySum, lonelySum],
  command(
    "vacuum",
    (random) =>
      `vacuum ${random.pick(["", "(analyze)", "(freeze)"])} ${random.pick(["accounts", "claims", "copied", "pg_class"])}`,
  ),
  command("vacuum full", (random) => `vacuum full ${random.pick(["claims", "copied", "pg_statistic"])}`),
  command("analyze", () => "analyze accounts, claims"),
  command(
    "create index concurrently",
    (random) => `create index concurrently if not exists claims_${random.below(3)} on claims (note, owner)`,
    ddlRaces,
  ),
  command(
    "drop index concurrently",
    (random) => `drop index concurrently if exists claims_${random.below(3)}`,
    ddlRaces,
  ),
  command("reindex concurrently", (random) => `reindex table concurrently ${made(random)}`, ddlRaces),
  command("reindex", () => "reindex table claims"),
  command(
    "create and drop",
    (random) => `drop table if exists ${made(random)}; create table ${made(random)} (x int primary key, note text)`,
    ddlRaces,
  ),
];
