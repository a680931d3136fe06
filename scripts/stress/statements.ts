/**
 * What every load of the stress does, as SQL: the tables, and the statements that are mixed in a transaction.
 *
 * Owns: the tables, the statements, which SQLSTATEs each of them provokes by itself. Does not own: who sends them: the
 * sessions of a process (`worker.ts`), or those of an engine without sockets (the tests).
 * Invariant: whatever is committed or rolled back, the balances add up to `totalBalance` in every snapshot.
 */
import type { Random } from "../../src/trace/storm/random.ts";

const accounts = 20;
const openingBalance = 1000;

/** What the balances add up to. */
export const totalBalance = accounts * openingBalance;

/** The tables of the statements below. Every transaction that says COMMIT has written its number into `log`. */
export const stressTables = `
  create table accounts (id int primary key, balance int not null, pad text default repeat('x', 100));
  create index on accounts (balance);
  create table claims (key int primary key, owner int not null, note text);
  create index on claims (owner);
  create table log (id bigserial primary key, client int not null, number int not null, unique (client, number));
  insert into accounts (id, balance) select g, ${openingBalance} from generate_series(1, ${accounts}) g`;

/** A statement, or several in one string, for one simple Query in a transaction. */
interface Statement {
  /** Under which it is counted. */
  readonly kind: string;
  readonly sql: string;
  /** The SQLSTATEs that it may end with because of what it does, beside those of `alwaysExpected`. */
  readonly provokes: readonly string[];
}

/** What the last row of a statement that reads all balances begins with. */
export const sumPrefix = "sum ";

/** Serialization failures and deadlocks: they come wherever there is a lock or a snapshot, and a new attempt follows. */
export const alwaysExpected: readonly string[] = ["40001", "40P01"];

/**
 * What two sessions get that change the same object: it is there already (42710 is the type of a table whose creation is over between
 * the look for a table and the one for a type: `heap_create_with_catalog`), or not any more, or its row is taken.
 */
export const ddlRaces: readonly string[] = ["42P01", "42P07", "42701", "42703", "42704", "42710", "23505"];

/** PostgreSQL has no SQLSTATE of their own for races between commands that change a catalogue. */
export function isCatalogueRace(state: string, message: string): boolean {
  const races = /^(tuple concurrently (updated|deleted)|could not open relation with OID|cache lookup failed for)/;
  return state === "XX000" && races.test(message);
}

/** One of the accounts, half of the time one of three. */
export function anyAccount(random: Random): number {
  return random.oneIn(2) ? 1 + random.below(3) : 1 + random.below(accounts);
}

/** Moves an amount from an account to another, in one statement. */
export function transfer(random: Random): string {
  const amount = random.below(50);
  return `with moved as (select ${anyAccount(random)} as source, ${anyAccount(random)} as target)
    update accounts set balance = balance
      + case when id = target and source <> target then ${amount} else 0 end
      - case when id = source and source <> target then ${amount} else 0 end
    from moved where id in (source, target)`;
}

/** Makes one statement of the mix. */
export function anyStatement(random: Random): Statement {
  return random.pick(mix)(random);
}

type Maker = (random: Random) => Statement;

function plain(kind: string, sql: (random: Random) => string, provokes: readonly string[] = []): Maker {
  return (random) => ({ kind, sql: sql(random), provokes });
}

const made = (random: Random) => `made_${random.below(4)}`;

const reading: readonly Maker[] = [
  plain("sum", () => `select '${sumPrefix}' || sum(balance) from accounts`),
  plain("sum by index", () => `select '${sumPrefix}' || sum(balance) from accounts where balance > -1000000`),
  plain("for update", (random) => `select id from accounts where id = ${anyAccount(random)} for update`),
  plain("for share", (random) => `select id from accounts where id = ${anyAccount(random)} for key share`),
  plain("nowait", (random) => `select id from accounts where id = ${anyAccount(random)} for update nowait`, ["55P03"]),
  plain("skip locked", () => "select id from accounts order by id limit 3 for update skip locked"),
  plain("catalogue views", () => "select count(*) from pg_locks l join pg_stat_activity a using (pid)"),
  plain("sleep", (random) => `select pg_sleep(${random.below(3) / 1000})`),
];

const writing: readonly Maker[] = [
  plain("transfer", transfer),
  plain("transfer", transfer),
  plain("transfer", (random) => {
    const amount = random.below(50);
    return `update accounts set balance = balance - ${amount} where id = ${anyAccount(random)};
      update accounts set balance = balance + ${amount} where id = ${anyAccount(random)}`;
  }),
  plain("savepoint", (random) => `savepoint a; ${transfer(random)}; rollback to a; ${transfer(random)}; release a`),
  plain("bulk update", () => "update accounts set pad = repeat(chr(97 + (random() * 25)::int), 100) where id % 3 = 0"),
  plain(
    "caught error",
    (random) =>
      `do $$ begin begin ${transfer(random)}; perform 1 / 0; exception when division_by_zero then null; end; end $$`,
  ),
  // More than the 64 subtransactions that a backend's shared memory has room for.
  plain(
    "subtransactions",
    (random) => `do $$ begin for i in 1..${20 + random.below(60)} loop
      begin insert into claims values (1000000 + i, 0); raise division_by_zero;
      exception when division_by_zero then null; end; end loop; end $$`,
    // Another session's uncommitted row of the same key is waited for, and may be committed.
    ["23505"],
  ),
  plain(
    "unique conflict",
    (random) => `insert into claims values (${random.below(200)}, ${random.below(100)}, repeat('n', 200))`,
    ["23505"],
  ),
  plain(
    "upsert",
    (random) => `insert into claims values (${random.below(200)}, ${random.below(100)})
      on conflict (key) do update set owner = excluded.owner`,
  ),
  plain("delete", (random) => `delete from claims where key % 17 = ${random.below(17)}`),
  plain("advisory lock", (random) => `select pg_advisory_xact_lock(${random.below(3)})`),
  plain(
    "temporary table",
    () =>
      "create temp table if not exists scratch (x int) on commit drop; insert into scratch select generate_series(1, 50)",
  ),
];

const defining: readonly Maker[] = [
  plain(
    "create table",
    (random) => `create table if not exists ${made(random)} (x int primary key, note text)`,
    ddlRaces,
  ),
  plain("create table", (random) => `create table ${made(random)} (x int primary key, note text)`, ddlRaces),
  plain("drop table", (random) => `drop table if exists ${made(random)}`, ddlRaces),
  plain(
    "insert into made",
    (random) => `insert into ${made(random)} select generate_series(1, 30) on conflict do nothing`,
    [...ddlRaces],
  ),
  plain("alter table", (random) => `alter table ${made(random)} add column extra_${random.below(3)} int default 7`, [
    ...ddlRaces,
  ]),
  plain("alter table", (random) => `alter table ${made(random)} drop column extra_${random.below(3)}`, ddlRaces),
  plain("create index", (random) => `create index on ${made(random)} (note)`, ddlRaces),
  plain("truncate", (random) => `truncate ${made(random)}`, ddlRaces),
];

const mix: readonly Maker[] = [...reading, ...writing, ...writing, ...defining];
