/**
 * A session of the engine, spoken to in SQL, without sockets.
 *
 * Owns: running statements and reading their answers. Does not own: the engine (each file opens one).
 */
import type { SessionHost } from "../../../../src/sessions/host.ts";
import type { Session, SessionInput } from "../../../../src/sessions/session.ts";
import { bytesInput } from "../../../../src/sessions/session-context.ts";
import { encodeQuery } from "../../../../src/wire/frontend.ts";
import { readErrorFields, readQueryResults } from "../../../../src/wire/query-results.ts";
import { waitUntil } from "../../../support/wait-until.ts";

/** What a statement answered: its last result's rows joined by `|`, or `ERROR <SQLSTATE>`, and the transaction status. */
export interface Answer {
  readonly rows: string[];
  readonly error: string | undefined;
  /** MESSAGE and DETAIL of the error. */
  readonly message: string;
  readonly detail: string;
  readonly status: string;
  readonly notices: string[];
  readonly messageTypes: string;
}

/** See the head of the file. */
export class SqlSession {
  readonly host: SessionHost;
  readonly session: Session;
  /** All that came outside a batch. */
  readonly #outside: Buffer[];

  private constructor(host: SessionHost, session: Session, outside: Buffer[]) {
    this.host = host;
    this.session = session;
    this.#outside = outside;
  }

  static async open(host: SessionHost, parameters: Record<string, string> = {}): Promise<SqlSession> {
    const outside: Buffer[] = [];
    const output = (bytes: Uint8Array) => void outside.push(Buffer.from(bytes));
    const session = await host.createSession({ user: "postgres", database: "postgres", ...parameters }, output);
    if (!session) throw new Error(readAnswer(Buffer.concat(outside), "refused").message);
    outside.length = 0;
    return new SqlSession(host, session, outside);
  }

  /** Runs SQL as a simple Query. */
  query(sql: string): Promise<Answer> {
    return this.send(encodeQuery(sql));
  }

  /** Runs frontend messages. */
  async send(messages: Uint8Array | SessionInput): Promise<Answer> {
    const parts: Buffer[] = [];
    const input = messages instanceof Uint8Array ? bytesInput(messages) : messages;
    const status = await this.session.run(input, (bytes) => void parts.push(Buffer.from(bytes)));
    return readAnswer(Buffer.concat(parts), status);
  }

  /** The rows of a statement that must succeed. */
  async rows(sql: string): Promise<string[]> {
    const answer = await this.query(sql);
    if (answer.error) throw new Error(`${answer.error} ${answer.message}`);
    return answer.rows;
  }

  /** Resolves when the session waits for something. */
  parked(): Promise<void> {
    return waitUntil("the session waits", () => this.host.scheduler.isParked(this.session));
  }

  /** Starts a statement that has to wait; resolves when it does, with what it will answer. */
  async startsWaiting(sql: string): Promise<{ answer: Promise<Answer> }> {
    const answer = this.query(sql);
    await this.parked();
    return { answer };
  }

  /** The messages that came outside a batch, by their type bytes. */
  outsideTypes(): string {
    return messageTypes(Buffer.concat(this.#outside));
  }

  /** The SQLSTATE of the error that came outside a batch. */
  outsideError(): string | undefined {
    return readAnswer(Buffer.concat(this.#outside), "").error;
  }

  /** The notifications that came outside a batch, as `channel:payload`. */
  notifications(): string[] {
    const whole = Buffer.concat(this.#outside);
    const found: string[] = [];
    for (let at = 0; at < whole.length; at += whole.readInt32BE(at + 1) + 1) {
      if (whole[at] !== 0x41) continue;
      const [channel, payload] = whole.toString("utf8", at + 9, at + 1 + whole.readInt32BE(at + 1)).split("\0");
      found.push(`${channel}:${payload}`);
    }
    return found;
  }

  close(): Promise<void> {
    return this.host.closeSession(this.session);
  }
}

function readAnswer(bytes: Buffer, status: string): Answer {
  const errors: Map<string, string>[] = [];
  const notices: string[] = [];
  const rest: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += bytes.readInt32BE(at + 1) + 1) {
    const frame = bytes.subarray(at, at + 1 + bytes.readInt32BE(at + 1));
    const type = String.fromCharCode(frame[0]!);
    if (type === "E") errors.push(new Map(readErrorFields(frame.subarray(5))));
    else if (type === "N") notices.push(readErrorFields(frame.subarray(5)).get("M") ?? "");
    else rest.push(frame);
  }
  const results = readQueryResults(Buffer.concat(rest));
  const [error] = errors;
  return {
    rows: (results.at(-1)?.rows ?? []).map((row) => row.join("|")),
    error: error?.get("C"),
    message: error?.get("M") ?? "",
    detail: error?.get("D") ?? "",
    status,
    notices,
    messageTypes: messageTypes(bytes),
  };
}

function messageTypes(bytes: Buffer): string {
  let types = "";
  for (let at = 0; at < bytes.length; at += bytes.readInt32BE(at + 1) + 1) types += String.fromCharCode(bytes[at]!);
  return types;
}
