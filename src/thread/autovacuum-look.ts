/**
 * One look of autovacuum: what needs it is vacuumed and analyzed, one database after the other.
 *
 * Owns: its one session at a time, and that it is in nobody's way. Does not own: when there is a look (`autovacuum.ts`), what is needed
 * (`../engine/autovacuum.ts`).
 * Invariant: who waits for a lock of this session has it at once: what it does is cancelled, as PostgreSQL cancels autovacuum. Whoever wants its place
 * or its database ends it.
 */
import {
  type AutovacuumDatabase,
  type AutovacuumSettings,
  databaseStatement,
  databasesQuery,
  isActive,
  type Need,
  needs,
  readDatabases,
  readSettings,
  settingsQuery,
  tablesQuery,
} from "../engine/autovacuum.ts";
import { SqlStateError } from "../errors.ts";
import { blockers } from "../sessions/deadlock.ts";
import type { SessionHost } from "../sessions/host.ts";
import { ownLogin, ownParameters, unhindered } from "../sessions/own-parameters.ts";
import type { Session } from "../sessions/session.ts";
import { DatabaseError } from "../wire/query-results.ts";
import { OwnSession, type Rows, SessionEnded } from "./own-session.ts";

/** The session's process id; those of clients are above it. */
export const autovacuumPid = 995;

/** What nobody else waits for is not waited for long either: others may queue behind it. */
const waitMs = 100;

/** As an autovacuum worker begins (postmaster/autovacuum.c), and nothing of it in the logs of statements. */
const parameters = {
  ...ownParameters,
  ...unhindered,
  application_name: "autovacuum",
  lock_timeout: `${waitMs}ms`,
  vacuum_cost_delay: "0",
  default_transaction_isolation: "read committed",
  idle_in_transaction_session_timeout: "0",
  synchronous_commit: "local",
  zero_damaged_pages: "off",
  log_statement: "none",
  log_duration: "off",
  log_min_duration_statement: "-1",
  log_min_duration_sample: "-1",
  "auto_explain.log_min_duration": "-1",
  "pg_stat_statements.track": "none",
};

/**
 * Errors that are none of a table: query_canceled and lock_not_available, as somebody wants the table; admin_shutdown and crash_shutdown; undefined_table,
 * invalid_schema_name and invalid_catalog_name, as it is gone; object_not_in_prerequisite_state and object_in_use, as its database is closed.
 */
const passing = new Set(["57014", "55P03", "57P01", "57P02", "42P01", "3F000", "3D000", "55000", "55006", "53300"]);

/** How many failures are remembered. */
const mostSaid = 1_000;

/** What is known from one look to the next. */
export interface Known {
  /** What databases were like when nothing in them needed anything. */
  readonly done: Map<string, string>;
  /** What has been said, so that it is said once. */
  readonly said: Set<string>;
}

/** Differs when another look at the database may come to something else. */
function stateOf({ writes }: AutovacuumDatabase, settings: AutovacuumSettings): string {
  return [writes, ...Object.values(settings)].join(" ");
}

/** See the head of the file. */
export class AutovacuumLook {
  readonly #host: SessionHost;
  readonly #known: Known;
  readonly #log: (text: string) => void;
  /** Settled when it is over; never rejected. */
  readonly over: Promise<void>;
  #own: OwnSession | undefined;
  /** That one's, from before it has started. */
  #session: Session | undefined;
  #isEnding = false;

  /** It begins at once. `log`: is told what fails, once. */
  constructor(host: SessionHost, known: Known, log: (text: string) => void) {
    this.#host = host;
    this.#known = known;
    this.#log = log;
    host.scheduler.onTurnOver.add(this.#giveWay);
    this.over = this.#look()
      .catch((error: unknown) => this.#tell("autovacuum", error))
      .finally(() => host.scheduler.onTurnOver.delete(this.#giveWay));
  }

  /** Ends it, in the middle of whatever it does; resolves when it is over. */
  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#own?.end();
    await this.over;
  }

  async #look(): Promise<void> {
    const [settings, databases] = await this.#in(ownLogin.database, async () => {
      const read = readSettings(await this.#ask(settingsQuery));
      return [read, isActive(read) ? readDatabases(await this.#ask(databasesQuery), read) : []] as const;
    });
    const there = new Set(databases.map(({ oid }) => oid));
    for (const oid of this.#known.done.keys()) if (!there.has(oid)) this.#known.done.delete(oid);
    for (const database of databases) {
      if (this.#isEnding) return;
      if (this.#known.done.get(database.oid) === stateOf(database, settings) && !database.isOld) continue;
      try {
        await this.#in(database.name, () => this.#serve(database, settings));
      } catch (error) {
        // The others have it none the less.
        this.#tell(`autovacuum of the database ${JSON.stringify(database.name)}`, error);
      }
    }
  }

  /** All that the session's database needs. */
  async #serve(database: AutovacuumDatabase, settings: AutovacuumSettings): Promise<void> {
    const wanted = needs(await this.#ask(tablesQuery), settings);
    let isDone = true;
    for (const need of wanted) if (await this.#give(need, database.name)) isDone = false;
    if (wanted.some(({ isVacuum }) => isVacuum)) await this.#ask(databaseStatement);
    if (isDone) this.#known.done.set(database.oid, stateOf(database, settings));
  }

  /**
   * Whether the next look may find that it needs more, although nothing is written until then: somebody was in the way, or has a transaction open that may
   * see what is dead. One that fails needs something else first.
   */
  async #give({ table, statement, settings }: Need, database: string): Promise<boolean> {
    const names = Object.keys(settings);
    try {
      for (const name of names) await this.#ask(`set ${name} = ${settings[name]}`);
      await this.#ask(statement);
      return true;
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      this.#tell(`autovacuum of ${table} in the database ${JSON.stringify(database)}`, error);
      return passing.has(error.code);
    } finally {
      for (const name of names) await this.#ask(`reset ${name}`);
    }
  }

  #ask(sql: string): Promise<Rows> {
    return this.#own!.ask(sql);
  }

  /** Runs `work` with a session in a database. */
  async #in<T>(database: string, work: () => Promise<T>): Promise<T> {
    const onBegun = (session: Session) => {
      this.#session = session;
      this.#host.places.dispensable = session;
    };
    const own = new OwnSession(this.#host, { ...parameters, database }, autovacuumPid, { onBegun, waitMs });
    this.#own = own;
    try {
      await own.begun;
      return await work();
    } finally {
      await own.close();
      this.#own = this.#session = undefined;
    }
  }

  /** Looks whether somebody waits for a lock that the session has. */
  readonly #giveWay = (): void => {
    const session = this.#session;
    if (!session?.proc) return;
    for (const waiting of this.#host.scheduler.parked) {
      const waits = this.#host.scheduler.waitOf(waiting)?.reason === "lock";
      if (!waits || !blockers(this.#host, waiting).includes(session)) continue;
      this.#host.cancel(session);
      return;
    }
  };

  #tell(what: string, error: unknown): void {
    const isPassing = (error instanceof DatabaseError || error instanceof SqlStateError) && passing.has(error.code);
    if (error instanceof SessionEnded || isPassing) return;
    const text = `${what} failed: ${error instanceof Error ? error.message : String(error)}`;
    if (this.#known.said.has(text)) return;
    if (this.#known.said.size === mostSaid) this.#known.said.clear();
    this.#known.said.add(text);
    this.#log(text);
  }
}
