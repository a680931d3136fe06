/**
 * A connection that reads its messages at the moments at which libpq reads them.
 *
 * Owns: one socket, the messages that have arrived, and the asynchronous status. Does not own: what is printed, or when
 * anybody looks. Mirrors pqParseInput3(), PQisBusy(), PQgetResult() and PQexec() of libpq.
 * Invariant: a message is interpreted only when the owner looks at this connection; until then its notices are unseen.
 * That order is what makes the output comparable.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setImmediate } from "node:timers/promises";
import {
  encodeBind,
  encodeExecute,
  encodeMessage,
  encodeParse,
  encodeQuery,
  encodeStartup,
  encodeSync,
} from "../../src/wire/frontend.ts";
import { type BackendMessage, MessageReader } from "../../src/wire/message-reader.ts";
import { readDataRow, readErrorFields } from "../../src/wire/query-results.ts";
import type { TimeLimit } from "./time-limit.ts";

/** One result of a query. */
export type Result =
  | {
      readonly kind: "rows";
      readonly columns: readonly string[];
      readonly rows: readonly (readonly (string | null)[])[];
    }
  | { readonly kind: "done" }
  /** `severity` and `message` are absent where libpq made the error up. `text` is PQresultErrorMessage(). */
  | { readonly kind: "error"; readonly severity?: string; readonly message?: string; readonly text: string }
  | { readonly kind: "unexpected"; readonly status: string };

/** A NOTIFY that arrived. */
interface Notification {
  readonly senderPid: number;
  readonly channel: string;
  readonly payload: string;
}

/** Where and as whom to connect. */
interface LinkOptions {
  readonly host: string;
  readonly port: number;
  /** Parameters of the startup packet. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Gets the text of each notice when it is looked at. */
  readonly onNotice: (text: string) => void;
  /** Bounds every wait. */
  readonly limit: TimeLimit;
}

/** The connection cannot be used any more. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
}

const closedText =
  "server closed the connection unexpectedly\n\tThis probably means the server terminated abnormally\n\tbefore or while processing the request.\n";

/** One connection. */
export class BackendLink {
  /** The process id of BackendKeyData. */
  pid = 0;
  readonly #socket: Socket;
  readonly #options: LinkOptions;
  readonly #reader = new MessageReader();
  #arrived: BackendMessage[] = [];
  #ended = false;
  #status: "idle" | "busy" | "ready" = "busy";
  #columns: string[] | undefined;
  #rows: (string | null)[][] = [];
  #result: Result | undefined;
  #notifications: Notification[] = [];
  #wake: (() => void) | undefined;

  private constructor(socket: Socket, options: LinkOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => {
      this.#arrived.push(...this.#reader.push(chunk));
      this.#wake?.();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#ended = true;
      this.#wake?.();
    });
  }

  /** Connects and logs in. Rejects with a `ConnectionLost` that says why not. */
  static async open(options: LinkOptions): Promise<BackendLink> {
    const socket = connect(options.port, options.host);
    const link = new BackendLink(socket, options);
    try {
      await options.limit.race(once(socket, "connect"));
    } catch (error) {
      socket.destroy();
      throw new ConnectionLost(`no connection: ${(error as Error).message}`);
    }
    socket.write(encodeStartup(options.parameters));
    const refused = await link.nextResult();
    if (refused?.kind === "error") throw new ConnectionLost(refused.text.trim());
    return link;
  }

  /** Sends a simple query. Throws if the connection has ended. */
  send(sql: string): void {
    this.#transmit(encodeQuery(sql));
  }

  /** Prepares a statement without parameters. */
  prepare(name: string, sql: string): Promise<Result> {
    this.#transmit(encodeParse(name, sql), encodeSync());
    return this.#lastResult();
  }

  /** Executes a prepared statement; its rows come without names of columns. */
  executePrepared(name: string, values: readonly string[]): Promise<Result> {
    this.#transmit(encodeBind("", name, values), encodeExecute(""), encodeSync());
    this.#columns = [];
    return this.#lastResult();
  }

  /** Runs a simple query and returns its last result, or its error. */
  query(sql: string): Promise<Result> {
    this.send(sql);
    return this.#lastResult();
  }

  /** Looks at what has arrived; whether `nextResult` would have to wait. Throws if the connection ended instead. */
  isBusy(): boolean {
    this.#look();
    if (this.#status === "busy" && this.#ended) throw new ConnectionLost(closedText.trim());
    return this.#status === "busy";
  }

  /** Waits up to `limitMs` for something to arrive; whether something did. Call it after `isBusy`. */
  async arrival(limitMs: number): Promise<boolean> {
    this.#options.limit.check();
    if (this.#ended || this.#arrived.length > 0) return true;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, limitMs);
    });
    clearTimeout(timer);
    this.#wake = undefined;
    return this.#ended || this.#arrived.length > 0;
  }

  /** The next result of the query, or undefined after the last one. */
  async nextResult(): Promise<Result | undefined> {
    this.#look();
    while (this.#status === "busy") {
      if (this.#ended) {
        this.#status = "idle";
        return { kind: "error", text: closedText };
      }
      await this.arrival(1_000);
      this.#look();
    }
    if (this.#status === "idle") return undefined;
    this.#status = "busy";
    return this.#result;
  }

  /** Reads what the server has sent by now without interpreting it. */
  async consumeInput(): Promise<void> {
    // The first turn ends this phase of the event loop; between the two it looks at the sockets.
    await setImmediate();
    await setImmediate();
  }

  /** The next notification. */
  takeNotification(): Notification | undefined {
    this.#look();
    return this.#notifications.shift();
  }

  /** Closes the connection: politely with Terminate, or at once. */
  close(how: "politely" | "at once"): void {
    if (how === "politely" && !this.#ended) this.#socket.end(encodeMessage("X"));
    else this.#socket.destroy();
  }

  #transmit(...messages: Uint8Array[]): void {
    this.#look();
    if (this.#ended) throw new ConnectionLost("no connection to the server");
    this.#socket.write(Buffer.concat(messages));
    this.#status = "busy";
    this.#columns = undefined;
  }

  async #lastResult(): Promise<Result> {
    let last: Result = { kind: "done" };
    for (let next = await this.nextResult(); next; next = await this.nextResult()) last = next;
    return last;
  }

  #look(): void {
    for (let message = this.#arrived[0]; message; message = this.#arrived[0]) {
      const isAsynchronous = message.type === "A" || message.type === "N";
      if (this.#status === "ready" && !isAsynchronous) return;
      this.#arrived.shift();
      if (this.#status === "busy" || isAsynchronous) this.#interpret(message);
      // An error outside of a query, such as the end of the session, is a notice to libpq.
      else if (message.type === "E") this.#options.onNotice(errorText(message.body));
    }
  }

  #interpret({ type, body }: BackendMessage): void {
    const result = this.#resultOf(type, body);
    if (result) this.#complete(result);
    else if (type === "N") this.#options.onNotice(errorText(body));
    else if (type === "A") this.#notifications.push(readNotification(body));
    else if (type === "K") this.pid = body.readInt32BE(0);
    else if (type === "D") this.#rows.push(readDataRow(body));
    else if (type === "Z") this.#status = "idle";
    else if (type === "T") {
      this.#columns = columnNames(body);
      this.#rows = [];
    }
  }

  /** The result that a message ends. */
  #resultOf(type: string, body: Buffer): Result | undefined {
    if (type === "C")
      return this.#columns ? { kind: "rows", columns: this.#columns, rows: this.#rows } : { kind: "done" };
    if (type === "I") return { kind: "done" };
    if (type === "E") return errorResult(body);
    if (type === "G") return { kind: "unexpected", status: "PGRES_COPY_IN" };
    if (type === "H") return { kind: "unexpected", status: "PGRES_COPY_OUT" };
    const asksForPassword = type === "R" && body.readInt32BE(0) !== 0;
    return asksForPassword ? { kind: "error", text: "the server asks for a password" } : undefined;
  }

  #complete(result: Result): void {
    this.#result = result;
    this.#status = "ready";
    this.#columns = undefined;
    this.#rows = [];
  }
}

function errorResult(body: Buffer): Result {
  const fields = readErrorFields(body);
  const severity = fields.get("S");
  const message = fields.get("M");
  const text = errorText(body);
  return severity === undefined || message === undefined
    ? { kind: "error", text }
    : { kind: "error", severity, message, text };
}

/** An error or notice as libpq words it at its default verbosity, without the place in the query. */
function errorText(body: Buffer): string {
  const fields = readErrorFields(body);
  const more = [
    ["DETAIL", fields.get("D")],
    ["HINT", fields.get("H")],
  ].flatMap(([label, text]) => (text === undefined ? [] : [`${label}:  ${text}\n`]));
  return `${fields.get("S")}:  ${fields.get("M")}\n${more.join("")}`;
}

function columnNames(body: Buffer): string[] {
  const names: string[] = [];
  for (let left = body.readInt16BE(0), at = 2; left > 0; left--) {
    const end = body.indexOf(0, at);
    names.push(body.toString("utf8", at, end));
    at = end + 19;
  }
  return names;
}

function readNotification(body: Buffer): Notification {
  const [channel = "", payload = ""] = body.toString("utf8", 4).split("\0");
  return { senderPid: body.readInt32BE(0), channel, payload };
}
