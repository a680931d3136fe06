/**
 * Random programs of two or three actors, and whether one schedule of each class finds all that every order finds.
 *
 * Owns: the statements, the comparison. Does not own: how many, the seed (`soundness.test.ts`).
 */
import pg from "pg";
import { type Actor, type ExploreOptions, type ExploreReport, explore } from "../../src/explore/index.ts";
import { type DevDb, startDevDb } from "../../src/index.ts";
import { Random } from "../support/random.ts";

const tables = `
  create table t (id int primary key, v int, w int not null); create index on t (w);
  create table u (id int primary key, tid int references t (id));
  create table e (id int primary key, v int unique);
  create table log (who text, n int);
  create sequence s;
  create function noted() returns trigger language plpgsql as $$ begin
    insert into log select tg_op || new.id, count(*) from e; return new; end $$;
  create trigger noted after insert or update on u for each row execute function noted();
  create table many (id int, part int) partition by list (part);
  create table many_0 partition of many for values in (0);
  create table many_1 partition of many for values in (1);
  create function guarded(x int) returns text language plpgsql as $$ begin
    insert into e values (x, x); return 'in'; exception when unique_violation then
    update e set v = v + 1 where id = x; return 'changed'; end $$`;

const rows = `select setval('s', 1, false);
  insert into t select i, 10 * i, i % 2 from generate_series(1, 4) i; insert into u values (1, 1)`;
const samePlaces = `truncate u, t, e, many; ${rows}; truncate log`;
// Rows move by that, which must not matter to an exploration that is given a reset.
const otherPlaces = `delete from u; delete from t; delete from e; delete from many; ${rows}; delete from log`;

/**
 * What makes the rows as they were. SERIALIZABLE fails more where a page of the table is full: a new version of a row goes into the index then,
 * and is in conflict with whoever has read there. Every order and one of each class must begin with the same pages, or chance differs.
 */
const rowsOf = (program: Program, rewinds: boolean): string =>
  rewinds || Object.values(program).some(([first]) => first?.endsWith("serializable")) ? samePlaces : otherPlaces;

const state = `select (select string_agg(id || ':' || v || ':' || w, ' ' order by id) from t) as t,
  (select string_agg(id || ':' || tid, ' ' order by id) from u) as u,
  (select string_agg(id || ':' || v, ' ' order by id) from e) as e,
  (select string_agg(who || ':' || n, ' ' order by who, n) from log) as log,
  (select string_agg(id || ':' || part, ' ' order by id, part) from many) as many,
  (select last_value || ':' || is_called from s) as s`;

function statement(random: Random): string {
  const number = (least: number, below: number): number => least + random.below(below);
  const forms = [
    () => `select v from t where id = ${number(1, 3)}`,
    () => "select sum(v), count(*) from t",
    () => `select sum(v) from t where w = ${number(0, 2)}`,
    () => `update t set v = v + ${number(1, 5)} where id = ${number(1, 3)}`,
    () => `update t set v = v * 2 where w = ${number(0, 2)}`,
    () => `update t set w = 1 - w where id = ${number(1, 3)}`,
    () => `insert into t values (${number(5, 2)}, 7, ${number(0, 2)})`,
    () => `insert into t values (${number(5, 2)}, 8, 1) on conflict (id) do update set v = t.v + 1`,
    () => `insert into t values (${number(5, 2)}, 8, 1) on conflict do nothing`,
    () => `delete from t where id = ${number(2, 4)}`,
    () => `select v from t where id = ${number(1, 3)} for update`,
    () => `select v from t where id = ${number(1, 3)} for share`,
    () => "select id from t order by id limit 1 for update skip locked",
    () => `select id from t where id = ${number(1, 2)} for update nowait`,
    () => `insert into u values (${number(2, 2)}, ${number(1, 4)})`,
    () => `update u set tid = ${number(1, 3)} where id = 1`,
    () => "select count(*) from u",
    () => `update t set v = (select sum(v) from t) where id = ${number(1, 3)}`,
    () => `select pg_advisory_xact_lock(${number(0, 2)})`,
    () => `select pg_try_advisory_xact_lock(${number(0, 2)})`,
    () => "lock table t in share mode",
    () => `insert into e values (${number(1, 2)}, ${number(1, 2)})`,
    () => `insert into e values (${number(1, 2)}, ${number(1, 2)}) on conflict do nothing`,
    () => `update e set v = v + 1 where id = ${number(1, 2)}`,
    () => `delete from e where v = ${number(1, 2)}`,
    () => "select count(*) from e",
    () => `select v from e where id = ${number(1, 2)}`,
    () => `insert into e select ${number(1, 2)}, 9 where not exists (select from e)`,
    () => `select guarded(${number(1, 2)})`,
    () => "select nextval('s')",
    () => "select last_value from s",
    () => `insert into t values (nextval('s') + 10, ${number(0, 9)}, 0)`,
    () => "select count(*), max(n) from log",
    () => `insert into many values (${number(0, 3)}, ${number(0, 2)})`,
    () => `update many set part = 1 - part where id = ${number(0, 3)}`,
    () => `select count(*) from many where part = ${number(0, 2)}`,
    () => `savepoint x; update t set v = v + 1 where id = ${number(1, 3)}; rollback to x`,
    () => "select 1 / 0",
    () => `update t set v = v + 1, w = null where id = ${number(1, 3)}`,
    () => `insert into e values (${number(1, 2)}, 5); select 1 / 0`,
    () => `create table if not exists made_${number(0, 2)} (id int)`,
  ];
  return random.of(forms)();
}

const levels = ["read committed", "repeatable read", "serializable"];

/** A program: what each actor sends. */
export type Program = Readonly<Record<string, readonly string[]>>;

/** The program of a seed. */
export function programOf(seed: number): Program {
  const random = new Random(seed);
  const level = random.of(levels);
  const names = random.oneIn(4) ? ["ann", "bob", "cid"] : ["ann", "bob"];
  return Object.fromEntries(
    names.map((name) => {
      // Six actors' statements of three have as many orders as two transactions.
      const isAlone = names.length === 3 ? !(name === "ann" && random.oneIn(2)) : random.oneIn(3);
      const count = names.length === 3 ? 1 + random.below(2) : 1 + random.below(3);
      const body = Array.from({ length: count }, () => statement(random));
      if (!isAlone && names.length === 2 && random.oneIn(6))
        body.splice(0, 3, "savepoint x", statement(random), "rollback to x");
      return [name, isAlone ? body : [`begin isolation level ${level}`, ...body, "commit"]];
    }),
  );
}

/** In how many orders its statements could be sent. */
export function ordersOf(program: Program): number {
  let [orders, sent] = [1, 0];
  for (const { length } of Object.values(program))
    for (let count = 1; count <= length; count++) orders = (orders * ++sent) / count;
  return orders;
}

/** What a comparison found. */
export interface Comparison {
  readonly exhaustive: ExploreReport;
  readonly reduced: ExploreReport;
  /** Outcomes that only one of them has. */
  readonly missing: readonly string[];
  readonly extra: readonly string[];
}

/** A server with the tables of the programs. */
export class ProgramServer {
  readonly #db: DevDb;
  readonly #clients = new Map<string, pg.Client>();

  private constructor(db: DevDb) {
    this.#db = db;
  }

  static async start(): Promise<ProgramServer> {
    const server = new ProgramServer(await startDevDb({ port: 0, migrations: "none" }));
    for (const name of ["ann", "bob", "cid"]) {
      const client = new pg.Client({ connectionString: server.#db.url });
      await client.connect();
      server.#clients.set(name, client);
    }
    await server.#clients.get("ann")!.query(`${tables}; ${samePlaces}`);
    return server;
  }

  async close(): Promise<void> {
    for (const client of this.#clients.values()) await client.end();
    await this.#db.close();
  }

  /** Every order against one of each class. `rewinds`: what is touched is told apart by rows, else by relations. */
  async compare(program: Program, rewinds: boolean): Promise<Comparison> {
    const again = rowsOf(program, rewinds);
    const reset: ExploreOptions["reset"] = (sql) => sql(`drop table if exists made_0, made_1; ${again}`);
    const all = new Set<string>();
    const exhaustive = await this.#explore(program, all, { strategy: "exhaustive", reset });
    await this.#clients.get("ann")!.query(again);
    const some = new Set<string>();
    const reduced = await this.#explore(program, some, { strategy: "dpor", ...(rewinds ? {} : { reset }) });
    const without = (one: Set<string>, other: Set<string>): string[] => [...one].filter((key) => !other.has(key));
    return { exhaustive, reduced, missing: without(all, some), extra: without(some, all) };
  }

  #explore(program: Program, outcomes: Set<string>, more: Partial<ExploreOptions>): Promise<ExploreReport> {
    const actors = Object.fromEntries(
      Object.entries(program).map(([name, statements]) => [name, this.#actor(name, statements)]),
    );
    return explore({
      db: this.#db,
      actors,
      invariant: async (sql, results) => {
        const said = Object.values(results).map((result) => ("value" in result ? result.value : result.reason));
        outcomes.add(JSON.stringify([said, await sql(state)]));
      },
      // Nobody is silent here, but for a machine that is busy with other tests.
      silenceMs: 500,
      ...more,
    });
  }

  #actor(name: string, statements: readonly string[]): Actor {
    const client = this.#clients.get(name)!;
    return async () => {
      const said: string[] = [];
      for (const [at, statement] of statements.entries()) {
        try {
          const answer = await client.query(statement);
          const last = Array.isArray(answer) ? answer.at(-1)! : answer;
          said.push(last.rows.length > 0 ? JSON.stringify(last.rows) : String(last.rowCount));
        } catch (error) {
          said.push((error as { readonly code: string }).code);
          if (!statements[0]!.startsWith("begin") || statements[at + 1] === "rollback to x") continue;
          await client.query("rollback");
          break;
        }
      }
      return said;
    };
  }
}
