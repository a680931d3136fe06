/**
 * Databases of their own for tests: copies of one that is migrated and seeded.
 *
 * Owns: how a copy is made and dropped, and its name. Does not own: when (the runners' files: `vitest.ts`).
 * Invariant: a client that a test has left open is never ended by this: its database stays until the server ends.
 * How: `CREATE DATABASE … TEMPLATE`, which any PostgreSQL has; nothing else depends on that.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { ServerClient } from "../dev-db/server-client.ts";
import { executeSql } from "../engine/execute-sql.ts";
import { quoteIdentifier, quoteLiteral } from "../migrate/sql-quoting.ts";
import { DatabaseError, type StatementResult } from "../wire/query-results.ts";

/** A database of a test's own. */
export interface TestDatabase {
  /** For any driver. */
  readonly url: string;
  readonly name: string;
}

const sqlState = { objectInUse: "55006", duplicateDatabase: "42P04", unsupported: "0A000" } as const;
/** A client that has just said good-bye is still there for a moment. */
const leavingMs = 200;
const patienceMs = 2_000;
const pauseMs = 20;

/** Copies of the database that a URL names. */
export class DatabasesPerTest {
  readonly #template: URL;
  #admin: Promise<ServerClient> | undefined;

  constructor(url: string) {
    this.#template = new URL(url);
  }

  /** Makes one with a name that nobody has. */
  async create(): Promise<TestDatabase> {
    const database = this.#named(randomBytes(6).toString("hex"));
    await this.#copy(database.name);
    return database;
  }

  /** The one with this name, which is made unless it is there. */
  async ensure(name: string): Promise<TestDatabase> {
    const database = this.#named(name);
    await this.#copy(database.name).catch((error: unknown) => {
      if ((error as DatabaseError).code !== sqlState.duplicateDatabase) throw error;
    });
    return database;
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
      if ((error as DatabaseError).code !== sqlState.objectInUse) throw error;
    });
  }

  /** Ends the connection by which databases are made. */
  async close(): Promise<void> {
    const admin = this.#admin;
    this.#admin = undefined;
    (await admin?.catch(() => undefined))?.close();
  }

  get #templateName(): string {
    return decodeURIComponent(this.#template.pathname.slice(1));
  }

  #named(suffix: string): TestDatabase {
    const name = `${this.#templateName}_${suffix}`;
    return { name, url: this.#at(name) };
  }

  #at(database: string): string {
    const url = new URL(this.#template);
    url.pathname = `/${encodeURIComponent(database)}`;
    return url.href;
  }

  async #copy(name: string): Promise<void> {
    const deadline = performance.now() + patienceMs;
    for (;;) {
      try {
        await this.#run(`CREATE DATABASE ${quoteIdentifier(name)} TEMPLATE ${quoteIdentifier(this.#templateName)}`);
        return;
      } catch (error) {
        if (!(error instanceof DatabaseError)) throw error;
        if (error.code !== sqlState.objectInUse || performance.now() > deadline)
          throw explain(error, this.#templateName);
        await delay(pauseMs);
      }
    }
  }

  async #run(sql: string): Promise<StatementResult[]> {
    // Who is connected to the template is in the way.
    this.#admin ??= ServerClient.connect(this.#at(this.#templateName === "postgres" ? "template1" : "postgres"));
    return executeSql(await this.#admin, sql);
  }
}

function explain(error: DatabaseError, template: string): unknown {
  if (error.code === sqlState.objectInUse) {
    const hint = "let tests connect to their own database only (the url of useDatabase())";
    return new Error(`the database ${template} cannot be copied while a client is connected to it: ${hint}`, {
      cause: error,
    });
  }
  if (error.code === sqlState.unsupported) {
    const hint = "databases of their own need Node 24 or later, where each connection has a session";
    return new Error(`no database for the test: ${error.message}; ${hint}`, { cause: error });
  }
  return error;
}
