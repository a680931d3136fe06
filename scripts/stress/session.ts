/**
 * A client's connection as the stress uses it, whatever the driver.
 *
 * Owns: the interface, telling an error of PostgreSQL from a lost connection, a CancelRequest. Does not own: the drivers
 * (`pg-session.ts`, `postgres-js-session.ts`).
 * Invariant: a session never connects a second time; what follows a loss fails, too.
 */
import { once } from "node:events";
import { createConnection, type Socket } from "node:net";

/** What a statement answered: the last result's rows, their columns joined by `|`, and its command tag's first word. */
export interface Rows {
  readonly rows: readonly string[];
  readonly command: string;
}

/** Both directions of COPY. */
export interface Copy {
  in(sql: string, data: string): Promise<unknown>;
  out(sql: string): Promise<string>;
}

/** See the head of the file. Everything rejects with the driver's error. */
export interface Session {
  readonly driver: string;
  readonly pid: number;
  /** One simple Query. */
  query(sql: string): Promise<Rows>;
  /** A prepared statement with its parameters; the same text again is the same prepared statement. */
  execute(sql: string, values: readonly unknown[]): Promise<Rows>;
  /** COPY FROM STDIN and TO STDOUT, if the driver settles them in every case. */
  readonly copy?: Copy;
  /** Sends a CancelRequest; resolves when the server has closed that connection. */
  cancel(): Promise<void>;
  /** Destroys the socket. */
  hangUp(): void;
  /** Says goodbye. */
  close(): Promise<void>;
}

/** The SQLSTATE of an error that PostgreSQL sent; undefined for everything else, such as a lost connection. */
export function sqlState(error: unknown): string | undefined {
  const { code, severity } = error as { code?: unknown; severity?: unknown };
  return typeof code === "string" && typeof severity === "string" ? code : undefined;
}

/** Connects a socket, so that its end can be had apart from the driver. */
export async function connectSocket(port: number): Promise<Socket> {
  const socket = createConnection({ host: "127.0.0.1", port });
  socket.setNoDelay(true);
  await once(socket, "connect");
  return socket;
}

/** Sends a CancelRequest on a connection of its own. */
export async function requestCancel(port: number, pid: number, secret: number): Promise<void> {
  const request = Buffer.alloc(16);
  request.writeInt32BE(request.length, 0);
  request.writeInt32BE(80877102, 4);
  request.writeInt32BE(pid, 8);
  // Drivers read it with or without a sign.
  request.writeInt32BE(secret | 0, 12);
  const socket = await connectSocket(port);
  socket.on("error", () => {});
  const closed = once(socket, "close");
  socket.end(request);
  socket.resume();
  await closed;
}

/** Joins the columns of rows. */
export function joinRows(rows: readonly (readonly unknown[])[]): string[] {
  return rows.map((row) => row.map((value) => String(value)).join("|"));
}
