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
import { DatabaseError, type StatementResult } from "../wire/query-results.ts";
import { workerBranch } from "./run-address.ts";

/** A database of a test's own. */
export interface TestDatabase {
  /** For any driver. */
  readonly url: string;
  readonly name: string;
}

const objectInUse = "55006";
/** The SQLSTATE of a call of `pglite_devdb.…` on another PostgreSQL (invalid_schema_name). */
const undefinedSchema = "3F000";
/** The comment on a database that only files with `per: "worker"` have used. */
const workers = "of a worker";
/** NAMEDATALEN without the byte at its end. */
const longestName = 63;
/** A client that has just said good-bye is still there for a moment. */
const leavingMs = 200;
const pauseMs = 20;

/** Branches of the database that a URL names. */
export class DatabasesPerTest {
  readonly #source: string;
  readonly #name: string;
  /** Whether the server can renew a database under its clients. */
  #renews = true;
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
    const { name, url } = this.#at(this.#nameOf(branch));
    await ensureBranch({ url, database: name, template: this.#name }, async (sql) => {
      return (await this.#run(sql)).at(-1)?.rows ?? [];
    });
    return { name, url };
  }

  /** A worker's, as its last file with `per: "worker"` left it: one that a test or a file has had since is renewed. */
  async ensureWorkers(worker: string, warn: (message: string) => void): Promise<TestDatabase> {
    const { name } = this.#at(this.#nameOf(workerBranch(worker)));
    const comment = `SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = ${quoteLiteral(name)}`;
    const [found] = await this.#run(comment);
    if (found?.rows[0]?.[0] !== workers) await this.renewWorkers(worker, warn);
    const database = await this.ensure(workerBranch(worker));
    await this.#run(`COMMENT ON DATABASE ${quoteIdentifier(name)} IS ${quoteLiteral(workers)}`);
    return database;
  }

  /**
   * A worker's, as the seed left it. Its idle clients stay connected, so that a pool in a module sees the same database as the test.
   * Undefined where that cannot be: a client is in a transaction, which is told to `warn`, or the server is not ours.
   */
  async renewWorkers(worker: string, warn: (message: string) => void): Promise<TestDatabase | undefined> {
    if (!this.#renews) return undefined;
    const branch = workerBranch(worker);
    try {
      await this.#run(`select pglite_devdb.reset_branch(${quoteLiteral(branch)})`);
      return this.#at(this.#nameOf(branch));
    } catch (error) {
      if (!isDatabaseError(error, objectInUse, undefinedSchema)) throw error;
      if (error.code === objectInUse) warn(error.message);
      else await this.#cannotRenew(worker);
      return undefined;
    }
  }

  /** A pool that was made at an import is led to the worker's database anyway. */
  async #cannotRenew(worker: string): Promise<void> {
    this.#renews = false;
    await this.ensure(workerBranch(worker));
  }

  /** A copy of a test's database as it is now. Undefined where that cannot be. */
  async keep({ name }: TestDatabase, test: string): Promise<TestDatabase | undefined> {
    const words = test.toLowerCase().match(/[a-z0-9]+/g) ?? [];
    const suffix = randomBytes(2).toString("hex");
    const room = longestName - Buffer.byteLength(name) - suffix.length - 2;
    const branch = [words.join("-").slice(0, Math.max(room, 0)), suffix].filter(Boolean).join("-");
    try {
      const client = await ServerClient.connect(this.#at(name).url);
      await executeSql(client, `select pglite_devdb.branch(${quoteLiteral(branch)})`).finally(() => client.close());
      return this.#at(branchDatabase(name, branch));
    } catch (error) {
      if (!isDatabaseError(error, objectInUse, undefinedSchema)) throw error;
      return undefined;
    }
  }

  /** Drops those of all workers. */
  async dropWorkers(): Promise<void> {
    const first = this.#nameOf(workerBranch(""));
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
      if (!isDatabaseError(error, objectInUse)) throw error;
    });
  }

  /** Ends the connection by which databases are dropped. */
  async close(): Promise<void> {
    const admin = this.#admin;
    this.#admin = undefined;
    (await admin?.catch(() => undefined))?.close();
  }

  #at(database: string): TestDatabase {
    return { name: database, url: withDatabase(this.#source, database) };
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

function isDatabaseError(error: unknown, ...codes: readonly string[]): error is DatabaseError {
  return error instanceof DatabaseError && codes.includes(error.code);
}
