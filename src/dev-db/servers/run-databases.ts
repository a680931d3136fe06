/**
 * Branches on a server that is not PGlite: copies of a database of this run's own, that is migrated and seeded and to which nobody connects.
 *
 * Owns: that database, its branches, and their end; also of runs that were killed. Does not own: migrations and seed (`prepare.ts`).
 * Invariant: what is dropped has a name that only a run gives, and its run is over: whoever made it holds a lock while it lives
 * (`advisory-locks.ts`), and nobody is connected to it.
 */
import { randomBytes } from "node:crypto";
import { type Branches, branchDatabase, runDatabase, sourceOfRun } from "../../engine/branches.ts";
import { executeSql } from "../../engine/execute-sql.ts";
import { quoteIdentifier, quoteLiteral } from "../../migrate/index.ts";
import type { ClientAddress } from "../address.ts";
import { holdLock } from "./advisory-locks.ts";
import { rowsOf, runIn, withClient } from "./server-sql.ts";

/** What it needs of a server. */
interface RunContext {
  /** Of the database that is named in the options; it is there. */
  readonly address: ClientAddress;
  /** Brings an empty database to where it is used. */
  readonly prepare: (address: ClientAddress) => Promise<readonly string[]>;
}

/** See the head of the file. */
export class RunDatabases implements Branches {
  readonly #context: RunContext;
  /** The run's own database, and what it was given when it was made. */
  #template: Promise<{ database: string; applied: readonly string[] }> | undefined;
  #letGo = () => {};

  constructor(context: RunContext) {
    this.#context = context;
  }

  /** The run's own database, which is made at the first time. */
  template(): Promise<{ database: string; applied: readonly string[] }> {
    this.#template ??= this.#makeTemplate();
    return this.#template;
  }

  async create(source: string, name = `b${randomBytes(4).toString("hex")}`): Promise<string> {
    const database = branchDatabase(source, name);
    const { database: template } = await this.template();
    const { address } = this.#context;
    await withClient(address, address.database, async (sql) => {
      await executeSql(sql, `CREATE DATABASE ${quoteIdentifier(database)} TEMPLATE ${quoteIdentifier(template)}`);
      await executeSql(sql, `COMMENT ON DATABASE ${quoteIdentifier(database)} IS ${quoteLiteral(commentOf(template))}`);
    });
    return database;
  }

  async drop(database: string): Promise<void> {
    await this.#run(`DROP DATABASE IF EXISTS ${quoteIdentifier(database)} WITH (FORCE)`);
  }

  /** Drops what this run has made, with what others have made of it. */
  async close(): Promise<void> {
    const template = await this.#template?.catch(() => undefined);
    try {
      if (template) await this.#dropRun(template.database, (each) => this.drop(each));
    } finally {
      this.#letGo();
    }
  }

  async #makeTemplate(): Promise<{ database: string; applied: readonly string[] }> {
    const { address, prepare } = this.#context;
    const database = runDatabase(address.database);
    this.#letGo = await holdLock(address, lockOf(database));
    await this.#dropEnded();
    await this.#run(`CREATE DATABASE ${quoteIdentifier(database)}`);
    try {
      return { database, applied: await prepare({ ...address, database }) };
    } catch (error) {
      await this.drop(database).catch(() => {});
      throw error;
    }
  }

  /** Drops what runs have left behind that were killed. */
  async #dropEnded(): Promise<void> {
    const { database } = this.#context.address;
    const named = `starts_with(datname, ${quoteLiteral(`${database}~run_`)})`;
    const [found] = await this.#run(`SELECT datname FROM pg_database WHERE ${named}`);
    for (const [run] of found?.rows ?? []) {
      if (!run || sourceOfRun(run) !== database) continue;
      const [answer] = await this.#run(`SELECT pg_try_advisory_lock(${lockOf(run)})`);
      // The lock goes with the connection that has asked for it.
      if (answer?.rows[0]?.[0] === "t") await this.#dropRun(run, (each) => this.#dropUnused(each)).catch(() => {});
    }
  }

  /** Without force, as somebody may come at any moment; and PostgreSQL would wait for who is there, for seconds. */
  async #dropUnused(database: string): Promise<void> {
    const [users] = await this.#run(`SELECT 1 FROM pg_stat_activity WHERE datname = ${quoteLiteral(database)}`);
    if (users!.rows.length > 0) throw new Error(`somebody is connected to ${database}`);
    await this.#run(`DROP DATABASE IF EXISTS ${quoteIdentifier(database)}`);
  }

  async #dropRun(run: string, drop: (database: string) => Promise<void>): Promise<void> {
    const { address } = this.#context;
    const branches = `starts_with(datname, ${quoteLiteral(`${run}~`)}) OR shobj_description(oid, 'pg_database') = ${quoteLiteral(commentOf(run))}`;
    const rows = await rowsOf(address, address.database, `SELECT datname FROM pg_database WHERE ${branches}`);
    // The run's own is the last: as long as it is there, another run finds what is left.
    for (const database of [...rows.map(([name]) => name!), run]) await drop(database);
  }

  #run(sql: string) {
    return runIn(this.#context.address, this.#context.address.database, sql);
  }
}

/** What is said of a branch that has a name of its own. */
function commentOf(run: string): string {
  return `pglite-devdb: a branch, goes with ${run}`;
}

/** Of the advisory lock that says that a run lives. */
function lockOf(run: string): string {
  return `hashtextextended(${quoteLiteral(`pglite-devdb ${run}`)}, 0)`;
}
