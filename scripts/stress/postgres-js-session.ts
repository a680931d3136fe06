/**
 * A session on the driver `postgres` (postgres.js).
 *
 * Owns: one connection that is not made again. Does not own: the interface (`session.ts`). There is no COPY: postgres.js never
 * settles one whose error comes after its last row.
 * Invariant: postgres.js reconnects by itself when a connection is lost; here that fails, because a statement would else run
 * outside of the transaction that it belongs to.
 */
import type { Socket } from "node:net";
import postgres from "postgres";
import { connectSocket, joinRows, type Rows, requestCancel, type Session } from "./session.ts";

/** What postgres.js knows of the backend that runs a query; it is not part of its types. */
interface BackendKey {
  readonly pid: number;
  readonly secret: number;
}

/** See the head of the file. */
export class PostgresJsSession implements Session {
  readonly driver = "postgres";
  #key: BackendKey = { pid: 0, secret: 0 };
  readonly #sql: postgres.Sql;
  readonly #socket: Socket;
  readonly #port: number;

  private constructor(sql: postgres.Sql, socket: Socket, port: number) {
    this.#sql = sql;
    this.#socket = socket;
    this.#port = port;
  }

  /** Connects. Rejects with what the server says, or with what the network says. */
  static async open(port: number): Promise<PostgresJsSession> {
    const socket = await connectSocket(port);
    let isUsed = false;
    const once = () => {
      if (isUsed) throw new Error("the connection was lost before");
      isUsed = true;
      return socket;
    };
    const sql = postgres({
      ...{ host: "127.0.0.1", port, user: "postgres", database: "postgres", socket: once },
      ...{ max: 1, max_lifetime: null, fetch_types: false, onnotice: () => {} },
    } as unknown as postgres.Options<Record<string, never>>);
    const session = new PostgresJsSession(sql, socket, port);
    const first = sql.unsafe("select 1");
    await first;
    session.#key = { ...(first as unknown as { state: BackendKey }).state };
    return session;
  }

  get pid(): number {
    return this.#key.pid;
  }

  async query(sql: string): Promise<Rows> {
    return lastRows(await this.#sql.unsafe(sql).values());
  }

  async execute(sql: string, values: readonly unknown[]): Promise<Rows> {
    return lastRows(await this.#sql.unsafe(sql, values as never[], { prepare: true }).values());
  }

  cancel(): Promise<void> {
    return requestCancel(this.#port, this.#key.pid, this.#key.secret);
  }

  hangUp(): void {
    this.#socket.destroy();
  }

  close(): Promise<void> {
    return this.#sql.end({ timeout: 5 });
  }
}

function lastRows(answer: unknown): Rows {
  type Result = unknown[][] & { command?: string };
  const whole = answer as Result | Result[];
  // Several statements in one string answer with a list of results.
  const last = ("command" in whole ? whole : whole.at(-1)) as Result;
  return { rows: joinRows(last), command: last.command ?? "" };
}
