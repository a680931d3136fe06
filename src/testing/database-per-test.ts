/**
 * Databases of their own for tests: branches of one that is migrated and seeded.
 *
 * Owns: how one is made and dropped, and its name. Does not own: when (`use-database.ts`).
 * Invariant: a client that a test has left open is never ended by this: its database stays until the server ends.
 * How: ours makes a branch for whom asks for it when connecting, another server has CREATE DATABASE (`dev-db/server-branches.ts`): a URL is all
 * that a test's process needs.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { ensureBranch } from "../dev-db/server-branches.ts";
import { ServerClient } from "../dev-db/server-client.ts";
import { branchDatabase, sourceOfRun } from "../engine/branches.ts";
import { executeSql } from "../engine/execute-sql.ts";
import { quoteIdentifier, quoteLiteral } from "../migrate/sql-quoting.ts";
import { readServerUrl, withDatabase } from "../options/server-url.ts";
import type { DatabaseError, StatementResult } from "../wire/query-results.ts";

/** A database of a test's own. */
export interface TestDatabase {
  /** For any driver. */
  readonly url: string;
  readonly name: string;
}

const objectInUse = "55006";
/** A client that has just said good-bye is still there for a moment. */
const leavingMs = 200;
const pauseMs = 20;

const workers = "worker_";

/** Branches of the database that a URL names. */
export class DatabasesPerTest {
  readonly #source: string;
  readonly #name: string;
  #admin: Promise<ServerClient> | undefined;

  constructor(url: string) {
    this.#source = url;
    this.#name = readServerUrl(url, "the server").database;
  }

  /** Makes one with a name that nobody has. */
  create(): Promise<TestDatabase> {
    return this.ensure(randomBytes(6).toString("hex"));
  }

  /** The one with this name, which is made unless it is there. */
  async ensure(branch: string): Promise<TestDatabase> {
    const name = this.#nameOf(branch);
    const url = withDatabase(this.#source, name);
    await ensureBranch({ url, database: name, template: this.#name }, async (sql) => {
      return (await this.#run(sql)).at(-1)?.rows ?? [];
    });
    return { name, url };
  }

  /** A worker's, which goes from one of its files to the next. */
  ensureWorkers(worker: string): Promise<TestDatabase> {
    return this.ensure(`${workers}${worker}`);
  }

  /** Drops those of all workers. */
  async dropWorkers(): Promise<void> {
    const first = this.#nameOf(workers);
    const [all] = await this.#run(`SELECT datname FROM pg_database WHERE starts_with(datname, ${quoteLiteral(first)})`);
    for (const [name] of all?.rows ?? []) await this.#run(`DROP DATABASE ${quoteIdentifier(name!)}`);
  }

  /** Drops one, unless somebody stays connected to it: PostgreSQL would wait for that for seconds. */
  async drop({ name }: TestDatabase): Promise<void> {
    const clients = `SELECT 1 FROM pg_stat_activity WHERE datname = ${quoteLiteral(name)}`;
    const deadline = performance.now() + leavingMs;
    while ((await this.#run(clients)).some(({ rows }) => rows.length > 0)) {
      if (performance.now() > deadline) return;
      await delay(pauseMs);
    }
    await this.#run(`DROP DATABASE IF EXISTS ${quoteIdentifier(name)}`).catch((error: unknown) => {
      if ((error as DatabaseError).code !== objectInUse) throw error;
    });
  }

  /** Ends the connection by which databases are dropped. */
  async close(): Promise<void> {
    const admin = this.#admin;
    this.#admin = undefined;
    (await admin?.catch(() => undefined))?.close();
  }

  #nameOf(branch: string): string {
    return branchDatabase(this.#name, branch);
  }

  /** Where to be while databases are made and dropped: nobody can copy one that somebody is connected to. */
  #adminUrl(): string {
    return withDatabase(this.#source, sourceOfRun(this.#name) ?? this.#name);
  }

  async #run(sql: string): Promise<StatementResult[]> {
    this.#admin ??= this.#connect();
    return executeSql(await this.#admin, sql);
  }

  /** A connection that failed, or has ended, is forgotten, so that the next call makes another one. */
  #connect(): Promise<ServerClient> {
    const forget = () => {
      if (this.#admin === connecting) this.#admin = undefined;
    };
    const connecting = ServerClient.connect(this.#adminUrl(), { onLost: forget });
    connecting.catch(forget);
    return connecting;
  }
}
