/**
 * A client of any PostgreSQL server, by its URL.
 *
 * Owns: the socket, the login, and that one batch of messages is answered before the next. Does not own: what is asked.
 * Invariant: whatever ends the connection is an error of the batch that runs, or of the next one.
 */
import { connect, type Socket } from "node:net";
import { UsageError } from "../errors.ts";
import type { SqlEngine } from "../migrate/index.ts";
import { partsOf } from "../options/server-url.ts";
import { encodeMessage, encodeSslRequest, encodeStartup } from "../wire/frontend.ts";
import { LoginClient } from "../wire/login-client.ts";
import { type BackendMessage, MessageReader } from "../wire/message-reader.ts";
import { DatabaseError, readErrorFields } from "../wire/query-results.ts";
import { preparePassword } from "../wire/scram.ts";

const defaultPort = 5432;
/** How long the server may take to hang up. */
const goodByeMs = 1000;
/** What is on the way may forget a connection that nothing goes over. */
const keepAliveMs = 30_000;

/** What a connection may have beside its URL. */
interface ConnectOptions {
  /** More startup parameters. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** How long the server may say nothing; for ever by default. */
  readonly silenceMs?: number;
  /** Gets the payloads of notifications. */
  readonly onNotification?: (payload: string) => void;
  /** Ends the connection, also before it is one. */
  readonly signal?: AbortSignal;
  /** Is told when the connection has ended otherwise than by `close`. */
  readonly onLost?: () => void;
}

/** See the head of the file. */
export class ServerClient implements SqlEngine {
  readonly #stream: Socket;
  readonly #messages = new MessageReader();
  #waiting: { take: (message: BackendMessage) => boolean; settle: (error?: unknown) => void } | undefined;
  #failure: Error | undefined;
  #onNotification: ((payload: string) => void) | undefined;
  #onLost: (() => void) | undefined;

  private constructor(stream: Socket) {
    this.#stream = stream;
    stream.on("data", (chunk: Buffer) => this.#receive(chunk));
    stream.on("error", (error) => this.#fail(error));
    stream.on("close", () => this.#fail(new Error("the server closed the connection")));
  }

  /** Logs in. Rejects with a `UsageError` when nobody is there, or with the server's own error. */
  static async connect(url: string, options: ConnectOptions = {}): Promise<ServerClient> {
    const { parameters = {}, silenceMs = 0, signal } = options;
    const parsed = new URL(url);
    const { hostname, port, searchParams } = parsed;
    const { user, password, database } = partsOf(parsed, "the server");
    const host = hostname.replace(/^\[(.*)\]$/, "$1");
    const socket = await open({ host, port: Number(port || defaultPort) }, signal);
    const isEncrypted = /^(require|verify-ca|verify-full)$/.test(searchParams.get("sslmode") ?? "");
    const client = new ServerClient(isEncrypted ? await encrypt(socket) : socket);
    client.#onNotification = options.onNotification;
    const silent = () => client.#fail(new Error(`the server did not answer within ${silenceMs / 1000} s`));
    if (silenceMs > 0) client.#stream.setTimeout(silenceMs, silent);
    const settings = searchParams.get("options");
    const own = {
      ...(settings === null ? {} : { options: settings }),
      client_encoding: "UTF8",
      application_name: "pglite-devdb",
      ...parameters,
    };
    try {
      await client.#logIn({ user, database, ...own }, password);
      client.#onLost = options.onLost;
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  runExclusive<T>(use: () => Promise<T>): Promise<T> {
    return use();
  }

  /** Sends messages that one ReadyForQuery ends, and hands on all that comes until then. */
  execProtocolRawStream(messages: Uint8Array, { onRawData }: { onRawData: (data: Uint8Array) => void }): Promise<void> {
    return this.#converse(messages, ({ type, body }) => {
      onRawData(encodeMessage(type, body));
      return type === "Z";
    });
  }

  /** Says good-bye. */
  close(): void {
    this.#failure ??= new Error("the connection was closed");
    this.#stream.end(encodeMessage("X"));
    this.#stream.setTimeout(goodByeMs, () => this.#stream.destroy());
  }

  /** Hangs up. */
  destroy(): void {
    this.#failure ??= new Error("the connection was closed");
    this.#stream.destroy();
  }

  async #logIn(parameters: Readonly<Record<string, string>>, password: string): Promise<void> {
    const login = new LoginClient(await preparePassword(password), parameters.user);
    await this.#converse(encodeStartup(parameters), ({ type, body }) => {
      if (type === "E") throw new DatabaseError(readErrorFields(body));
      const answer = type === "R" ? login.answer(body) : undefined;
      if (answer) this.#stream.write(answer);
      return type === "Z";
    });
  }

  #converse(bytes: Uint8Array, take: (message: BackendMessage) => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      if (this.#waiting) return reject(new Error("a connection is asked for one thing after the other"));
      const settle = (error?: unknown) => {
        this.#waiting = undefined;
        if (error === undefined) resolve();
        else reject(error);
      };
      this.#waiting = { take, settle };
      this.#stream.write(bytes);
    });
  }

  #receive(chunk: Buffer): void {
    try {
      for (const message of this.#messages.push(chunk)) {
        if (message.type === "A") this.#onNotification?.(payloadOf(message.body));
        else if (this.#waiting?.take(message)) this.#waiting.settle();
      }
    } catch (error) {
      this.#fail(error as Error);
      this.#stream.destroy();
    }
  }

  #fail(error: Error): void {
    const wasThere = this.#failure === undefined;
    this.#failure ??= error;
    this.#waiting?.settle(error);
    if (wasThere) this.#onLost?.();
  }
}

/** Of a NotificationResponse: it comes after the process id and the channel. */
function payloadOf(body: Buffer): string {
  return body.toString("utf8", body.indexOf(0, 4) + 1, body.length - 1);
}

function open(address: { host: string; port: number }, signal: AbortSignal | undefined): Promise<Socket> {
  const settings = { noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs };
  return new Promise((resolve, reject) => {
    const socket = connect({ ...address, ...settings, ...(signal ? { signal } : {}) });
    socket.once("connect", () => {
      socket.removeAllListeners("error");
      resolve(socket);
    });
    socket.once("error", (error) => {
      reject(new UsageError(`nobody answers at ${address.host}:${address.port}: ${error.message}`, { cause: error }));
    });
  });
}

/** As `sslmode=require` does, it does not ask whose certificate it is. */
function encrypt(socket: Socket): Promise<Socket> {
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("the server closed the connection")));
    socket.once("data", (answer: Buffer) => {
      if (answer.toString("latin1") !== "S") return reject(new Error("the server has no TLS"));
      const { connect: connectTls } = process.getBuiltinModule("node:tls");
      const encrypted = connectTls({ socket, rejectUnauthorized: false }, () => resolve(encrypted));
      encrypted.once("error", reject);
    });
    socket.write(encodeSslRequest());
  });
}
