/**
 * Branches on a server that is not PGlite: copies of a database of this run's own, that is migrated and seeded and to which nobody connects.
 *
 * Owns: that database, its branches, and their end; also of runs that were killed. Does not own: migrations and seed (`prepare.ts`).
 * Invariant: what is dropped has a name that only a run gives, and its run is over: whoever made it holds a lock while it lives.
 */
import { randomBytes } from "node:crypto";
import { type Branches, branchDatabase, runDatabase } from "../../engine/branches.ts";
import { executeSql } from "../../engine/execute-sql.ts";
import { quoteIdentifier, quoteLiteral } from "../../migrate/index.ts";
import { type ClientAddress, connectionUrl } from "../address.ts";
import { ServerClient } from "../server-client.ts";
import { rowsOf, runIn } from "./server-sql.ts";

/** What it needs of a server. */
interface RunContext {
  /** Of the database that is named in the options; it is there. */
  readonly address: ClientAddress;
  /** Brings an empty database to where it is used. */
  readonly prepare: (address: ClientAddress) => Promise<readonly string[]>;
}

const valid = "datconnlimit <> -2";

/** See the head of the file. */
export class RunDatabases implements Branches {
  readonly #context: RunContext;
  /** The run's own database, and what it was given when it was made. */
  #template: Promise<{ database: string; applied: readonly string[] }> | undefined;
  /** The connection that has the lock. */
  #holder: ServerClient | undefined;
  readonly #made = new Set<string>();

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
    await this.#run(`CREATE DATABASE ${quoteIdentifier(database)} TEMPLATE ${quoteIdentifier(template)}`);
    this.#made.add(database);
    return database;
  }

  async drop(database: string): Promise<void> {
    await this.#run(`DROP DATABASE IF EXISTS ${quoteIdentifier(database)} WITH (FORCE)`);
    this.#made.delete(database);
  }

  /** Drops what this run has made, with what others have made of it. */
  async close(): Promise<void> {
    const template = await this.#template?.catch(() => undefined);
    try {
      for (const database of this.#made) await this.drop(database);
      if (template) await this.#dropRun(template.database);
    } finally {
      this.#holder?.close();
    }
  }

  async #makeTemplate(): Promise<{ database: string; applied: readonly string[] }> {
    const { address, prepare } = this.#context;
    const database = runDatabase(address.database);
    this.#holder = await ServerClient.connect(connectionUrl(address));
    await executeSql(this.#holder, `SELECT pg_advisory_lock(${lockOf(database)})`);
    await this.#dropEnded();
    await this.#run(`CREATE DATABASE ${quoteIdentifier(database)}`);
    const applied = await prepare({ ...address, database });
    return { database, applied };
  }

  /** Drops what runs have left behind that were killed. */
  async #dropEnded(): Promise<void> {
    const all = await this.#databases(`${this.#context.address.database}~run_`);
    const runs = new Set(all.map((database) => database.match(/^.*?~run_[0-9a-f]{8}(?=~|$)/)?.[0]));
    for (const run of runs) {
      if (run === undefined) continue;
      const [answer] = await this.#run(`SELECT pg_try_advisory_lock(${lockOf(run)})`);
      // The lock goes with the connection that has asked for it.
      if (answer?.rows[0]?.[0] === "t") await this.#dropRun(run).catch(() => {});
    }
  }

  async #dropRun(run: string): Promise<void> {
    // Those of tests first: as long as the run's own is there, another run finds what is left.
    const all = (await this.#databases(run)).filter((name) => name === run || name.startsWith(`${run}~`));
    for (const database of all.sort((a, b) => b.length - a.length)) {
      await this.#run(`DROP DATABASE IF EXISTS ${quoteIdentifier(database)} WITH (FORCE)`);
    }
  }

  async #databases(beginning: string): Promise<string[]> {
    const { address } = this.#context;
    const named = `starts_with(datname, ${quoteLiteral(beginning)}) AND (${valid} OR datname ~ '~run_')`;
    const rows = await rowsOf(address, address.database, `SELECT datname FROM pg_database WHERE ${named}`);
    return rows.map(([name]) => name!);
  }

  #run(sql: string) {
    return runIn(this.#context.address, this.#context.address.database, sql);
  }
}

/** Of the advisory lock that says that a run lives. */
function lockOf(run: string): string {
  return `hashtextextended(${quoteLiteral(`pglite-devdb ${run}`)}, 0)`;
}
