/**
 * A session on the driver `pg`.
 *
 * Owns: simple queries, named statements read through suspended portals, COPY both ways, notifications. Does not own: the
 * interface (`session.ts`).
 * Invariant: a lost connection rejects what runs and everything after it.
 */
import { Client } from "pg";
import { joinRows, type Rows, requestCancel, type Session, sqlState } from "./session.ts";

/** What of pg's connection a COPY needs; it is not part of its types. */
interface PgConnection {
  stream: { destroy(): void };
  query(text: string): void;
  sync(): void;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

/** So few rows a portal gives at a time that it is suspended in between. */
const rowsOfAPortal = 7;

/** See the head of the file. */
export class PgSession implements Session {
  readonly driver = "pg";
  readonly pid: number;
  readonly copy = {
    in: (sql: string, data: string) => this.#copyIn(sql, data),
    out: (sql: string) => this.#submit(sql, () => {}),
  };
  readonly #port: number;
  readonly #client: Client;
  readonly #names = new Map<string, string>();

  private constructor(client: Client, port: number) {
    this.#client = client;
    this.#port = port;
    this.pid = (client as unknown as { processID: number }).processID;
  }

  /** Connects. Rejects with what the server says, or with what the network says. */
  static async open(port: number, onNotification?: (payload: string) => void): Promise<PgSession> {
    const client = new Client({ host: "127.0.0.1", port, user: "postgres", database: "postgres" });
    client.on("error", () => {});
    if (onNotification) client.on("notification", ({ payload }) => onNotification(payload ?? ""));
    await client.connect();
    return new PgSession(client, port);
  }

  async query(sql: string): Promise<Rows> {
    const answer = await this.#client.query({ text: sql, rowMode: "array" });
    const last = Array.isArray(answer) ? answer.at(-1) : answer;
    return { rows: joinRows(last.rows), command: last.command };
  }

  async execute(sql: string, values: readonly unknown[]): Promise<Rows> {
    const name = this.#names.get(sql) ?? `s${this.#names.size}`;
    this.#names.set(sql, name);
    const config = { name, text: sql, values: [...values], rowMode: "array" as const, rows: rowsOfAPortal };
    try {
      const { rows, command } = await this.#client.query(config);
      return { rows: joinRows(rows), command };
    } catch (error) {
      // pg asks for a portal's rows with Flush, and forgets the Sync that has to follow an error.
      if (sqlState(error) !== undefined) this.#connection.sync();
      throw error;
    }
  }

  cancel(): Promise<void> {
    const { secretKey } = this.#client as unknown as { secretKey: number };
    return requestCancel(this.#port, this.pid, secretKey);
  }

  hangUp(): void {
    this.#connection.stream.destroy();
  }

  close(): Promise<void> {
    return this.#client.end();
  }

  #copyIn(sql: string, data: string): Promise<unknown> {
    const half = Math.floor(data.length / 2);
    const chunks = [data.slice(0, half), data.slice(half)].filter((chunk) => chunk.length > 0);
    return this.#submit(sql, (connection) => {
      for (const chunk of chunks) connection.sendCopyFromChunk(Buffer.from(chunk));
      connection.endCopyFrom();
    });
  }

  get #connection(): PgConnection {
    return (this.#client as unknown as { connection: PgConnection }).connection;
  }

  /** pg runs any object with these methods as a query. */
  #submit(sql: string, onCopyIn: (connection: PgConnection) => void): Promise<string> {
    return new Promise((resolve, reject) => {
      const parts: Buffer[] = [];
      this.#client.query({
        submit: (connection: PgConnection) => connection.query(sql),
        handleCopyInResponse: onCopyIn,
        handleCopyData: ({ chunk }: { chunk: Buffer }) => void parts.push(Buffer.from(chunk)),
        handleCommandComplete: () => {},
        // After an error of PostgreSQL's pg keeps back the next query until ReadyForQuery by itself.
        handleError: reject,
        handleReadyForQuery: () => resolve(Buffer.concat(parts).toString()),
        // biome-ignore lint/suspicious/noExplicitAny: pg's types know only its own queries.
      } as any);
    });
  }
}
