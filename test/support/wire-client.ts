/**
 * A client that speaks the PostgreSQL protocol in raw messages, so that a test decides about every byte and segment.
 *
 * Owns: one socket and the backend messages it received. Does not own: any knowledge of what should come.
 * Invariant: messages are kept in order until a test takes them; nothing is answered or sent on its own.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { encodeMessage, encodeQuery } from "../../src/wire/frontend.ts";
import { readDataRow, readErrorFields } from "../../src/wire/query-results.ts";

/** A backend message: its type letter and its body. */
export interface BackendMessage {
  readonly type: string;
  readonly body: Buffer;
}

const int16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
};
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};

/** Frontend messages by their names in the manual ("Message Formats"). Parameters and results are text. */
export const message = {
  query: encodeQuery,
  parse: (name: string, sql: string): Buffer => encodeMessage("P", name, sql, int16(0)),
  bind: (portal: string, statement: string, values: (string | null)[] = []): Buffer =>
    encodeMessage(
      "B",
      portal,
      statement,
      int16(0),
      int16(values.length),
      ...values.flatMap((value) =>
        value === null ? [int32(-1)] : [int32(Buffer.byteLength(value)), Buffer.from(value)],
      ),
      int16(0),
    ),
  describe: (kind: "S" | "P", name: string): Buffer => encodeMessage("D", `${kind}${name}`),
  execute: (portal: string, maxRows = 0): Buffer => encodeMessage("E", portal, int32(maxRows)),
  close: (kind: "S" | "P", name: string): Buffer => encodeMessage("C", `${kind}${name}`),
  sync: (): Buffer => encodeMessage("S"),
  flush: (): Buffer => encodeMessage("H"),
  terminate: (): Buffer => encodeMessage("X"),
  copyData: (data: string | Buffer): Buffer => encodeMessage("d", Buffer.from(data)),
  copyDone: (): Buffer => encodeMessage("c"),
  copyFail: (reason: string): Buffer => encodeMessage("f", reason),
  /** An untyped packet of the startup phase. */
  untyped: (code: number, ...parts: (string | Buffer)[]): Buffer => {
    const body = Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(`${part}\0`) : part)));
    return Buffer.concat([int32(body.length + 8), int32(code), body]);
  },
  startup: (parameters: Record<string, string>, version = 3 << 16): Buffer =>
    message.untyped(version, ...Object.entries(parameters).flat(), Buffer.from([0])),
  sslRequest: (): Buffer => message.untyped(80877103),
  gssencRequest: (): Buffer => message.untyped(80877104),
  cancelRequest: (processId: number, key: Buffer): Buffer => message.untyped(80877102, int32(processId), key),
};

/** Where to connect. */
export interface Address {
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
}

/** One raw connection. */
export class WireClient {
  readonly socket: Socket;
  #pending = Buffer.alloc(0);
  #messages: BackendMessage[] = [];
  #raw = false;
  #ended = false;
  #waiters: (() => void)[] = [];
  /** The error of the socket, if it had one. */
  socketError: Error | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => {
      this.#pending = Buffer.concat([this.#pending, chunk]);
      if (!this.#raw) this.#cut();
      this.#wake();
    });
    socket.on("error", (error) => {
      this.socketError = error;
    });
    socket.on("close", () => {
      this.#ended = true;
      this.#wake();
    });
  }

  /** Connects without sending anything. */
  static async connect(address: Address): Promise<WireClient> {
    const socket = address.path ? connect(address.path) : connect(address.port!, address.host ?? "127.0.0.1");
    const client = new WireClient(socket);
    await once(socket, "connect");
    return client;
  }

  /** Connects and logs in; the messages of the login are taken. */
  static async login(address: Address, parameters: Record<string, string> = {}): Promise<WireClient> {
    const client = await WireClient.connect(address);
    client.send(message.startup({ user: "postgres", database: "postgres", ...parameters }));
    await client.until("Z");
    return client;
  }

  /** Sends messages in one write. */
  send(...messages: Uint8Array[]): void {
    this.socket.write(Buffer.concat(messages));
  }

  /** The messages up to and with the next one of `type`; rejects when the connection ends before. */
  async until(type: string, count = 1): Promise<BackendMessage[]> {
    const taken: BackendMessage[] = [];
    for (let left = count; left > 0; ) {
      const next = await this.next();
      taken.push(next);
      if (next.type === type) left--;
    }
    return taken;
  }

  /** The next message. */
  async next(): Promise<BackendMessage> {
    while (this.#messages.length === 0) {
      if (this.#ended)
        throw new Error(`the connection ended${this.socketError ? `: ${this.socketError.message}` : ""}`);
      await this.#more();
    }
    return this.#messages.shift()!;
  }

  /** The next `length` bytes as they came, for answers that are no messages. */
  async bytes(length: number): Promise<Buffer> {
    this.#raw = true;
    while (this.#pending.length < length) {
      if (this.#ended) throw new Error("the connection ended");
      await this.#more();
    }
    const bytes = this.#pending.subarray(0, length);
    this.#pending = this.#pending.subarray(length);
    this.#raw = false;
    this.#cut();
    return bytes;
  }

  /** Resolves when the server sent something more or the connection ended. */
  async received(): Promise<void> {
    if (!this.#ended) await this.#more();
  }

  /** Sends a simple query and returns its answer. */
  async query(sql: string): Promise<BackendMessage[]> {
    this.send(message.query(sql));
    return this.until("Z");
  }

  /** Everything up to the end of the connection. */
  async untilEnd(): Promise<BackendMessage[]> {
    while (!this.#ended) await this.#more();
    return this.#messages.splice(0);
  }

  /** Whether the socket is closed. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Messages received and not taken. */
  get unread(): readonly BackendMessage[] {
    return this.#messages;
  }

  /** Closes without a Terminate, as a killed client does. */
  destroy(): void {
    this.socket.destroy();
  }

  /** Terminate and close. */
  async end(): Promise<void> {
    if (this.#ended) return;
    this.socket.end(message.terminate());
    await this.untilEnd();
  }

  #more(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  #wake(): void {
    for (const wake of this.#waiters.splice(0)) wake();
  }

  #cut(): void {
    while (this.#pending.length >= 5) {
      const end = this.#pending.readInt32BE(1) + 1;
      if (this.#pending.length < end) return;
      this.#messages.push({ type: String.fromCharCode(this.#pending[0]!), body: this.#pending.subarray(5, end) });
      this.#pending = this.#pending.subarray(end);
    }
  }
}

/** The messages as their type letters: `TDCZ`. */
export function types(messages: readonly BackendMessage[]): string {
  return messages.map(({ type }) => type).join("");
}

/** All DataRow values, row by row. */
export function rows(messages: readonly BackendMessage[]): (string | null)[][] {
  return messages.filter(({ type }) => type === "D").map(({ body }) => readDataRow(body));
}

/** The fields of the first ErrorResponse: `C` is the SQLSTATE, `M` the message. */
export function errorFields(messages: readonly BackendMessage[]): ReadonlyMap<string, string> | undefined {
  const error = messages.find(({ type }) => type === "E");
  return error && readErrorFields(error.body);
}
