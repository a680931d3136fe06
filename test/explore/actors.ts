/**
 * Actors of an application: transactions with a pool of pg.
 *
 * Owns: the pool, which is the application's. Does not own: what an actor does in its transaction.
 */
import pg from "pg";

/** Runs a statement; the first column of its first row, or undefined. */
export type Query = (sql: string, ...values: readonly unknown[]) => Promise<unknown>;

/** An application with a pool. */
export class Application {
  readonly #url: () => string;
  #pool: pg.Pool | undefined;

  /** `url` may be asked for when it is first needed, where it is not known before. */
  constructor(url: string | (() => string)) {
    this.#url = typeof url === "string" ? () => url : url;
  }

  get pool(): pg.Pool {
    this.#pool ??= new pg.Pool({ connectionString: this.#url() });
    return this.#pool;
  }

  /** Each statement on its own, on whichever connection is free. */
  readonly query: Query = async (sql, ...values) => {
    const { rows } = await this.pool.query(sql, [...values]);
    return Object.values(rows[0] ?? {})[0];
  };

  /** A transaction, as everybody writes it. */
  async transaction<T>(level: string, work: (query: Query) => Promise<T>): Promise<T> {
    const client = await this.pool.connect();
    const query: Query = async (sql, ...values) => {
      const { rows } = await client.query(sql, [...values]);
      return Object.values(rows[0] ?? {})[0];
    };
    try {
      await client.query(`begin isolation level ${level}`);
      const result = await work(query);
      await client.query("commit");
      return result;
    } catch (error) {
      await client.query("rollback");
      throw error;
    } finally {
      client.release();
    }
  }
}
