/**
 * A client of any PostgreSQL server, by its URL.
 *
 * Owns: the socket, the login, and that one batch of messages is answered before the next. Does not own: what is asked.
 * Invariant: whatever ends the connection is an error of the batch that runs, or of the next one.
 */
import type { Socket } from "node:net";
import { ServerConnectionError } from "../errors.ts";
import type { SqlEngine } from "../migrate/index.ts";
import { readServerUrl, type ServerUrl } from "../options/server-url.ts";
import { copyDone, encodeCopyData, encodeMessage, encodeQuery, encodeStartup } from "../wire/frontend.ts";
import { LoginClient } from "../wire/login-client.ts";
import { type BackendMessage, MessageReader } from "../wire/message-reader.ts";
import { DatabaseError, readErrorFields } from "../wire/query-results.ts";
import { preparePassword } from "../wire/scram.ts";
import { attemptsOf, type Encryption, openSocket, placeOf } from "./server-socket.ts";

/** How long the server may take to hang up. */
const goodByeMs = 1000;
/** How long connecting and the login may take where neither the URL nor the caller says. */
const defaultConnectTimeoutMs = 10_000;
/** invalid_authorization_specification: the server lets this user in over TLS only, or without TLS only. */
const isNotLetIn = "28000";

/** What a connection may have beside its URL. */
interface ConnectOptions {
  /** More startup parameters. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** How long the server may say nothing after the login; for ever by default. */
  readonly silenceMs?: number;
  /** How long connecting and the login may take unless the URL says; 0 for as long as they like. */
  readonly connectTimeoutMs?: number;
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
    stream.on("error", (error) => this.#fail(new ServerConnectionError(error.message, { cause: error })));
    stream.on("close", () => this.#fail(new ServerConnectionError("the server closed the connection")));
  }

  /** Logs in. Rejects with a `UsageError` if no server answers, a `ServerConnectionError`, or the server's own error. */
  static async connect(url: string, options: ConnectOptions = {}): Promise<ServerClient> {
    const server = readServerUrl(url, "the server");
    const { silenceMs = 0, connectTimeoutMs = defaultConnectTimeoutMs } = options;
    const limitMs = server.connectTimeoutMs ?? connectTimeoutMs;
    const deadline = new AbortController();
    const late = () =>
      deadline.abort(
        new ServerConnectionError(`could not connect to ${placeOf(server)}: no answer within ${limitMs / 1000} s`),
      );
    const timer = limitMs > 0 ? setTimeout(late, limitMs) : undefined;
    const signal = options.signal ? AbortSignal.any([deadline.signal, options.signal]) : deadline.signal;
    try {
      const client = await ServerClient.#connect(server, options, signal);
      const silent = () =>
        client.#fail(new ServerConnectionError(`the server did not answer within ${silenceMs / 1000} s`));
      if (silenceMs > 0) client.#stream.setTimeout(silenceMs, silent);
      client.#onLost = options.onLost;
      return client;
    } catch (error) {
      throw deadline.signal.aborted ? deadline.signal.reason : error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** One attempt after the other. */
  static async #connect(server: ServerUrl, options: ConnectOptions, signal: AbortSignal): Promise<ServerClient> {
    const [first, second] = attemptsOf(server);
    const told = { isEncrypted: false };
    try {
      return await ServerClient.#attempt(server, first!, options, signal, told);
    } catch (error) {
      const isOther = error instanceof ServerConnectionError ? told.isEncrypted : isRefusedLogin(error);
      if (!second || !isOther || told.isEncrypted !== (second === "never")) throw error;
      return await ServerClient.#attempt(server, second, options, signal).catch((again: unknown) => {
        throw again instanceof DatabaseError ? again : error;
      });
    }
  }

  static async #attempt(
    server: ServerUrl,
    encryption: Encryption,
    options: ConnectOptions,
    signal: AbortSignal,
    told: { isEncrypted: boolean } = { isEncrypted: false },
  ): Promise<ServerClient> {
    const { stream, isPrivate, binding } = await openSocket(server, encryption, signal, told);
    const client = new ServerClient(stream);
    client.#onNotification = options.onNotification;
    const abort = () => client.#end(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    stream.once("close", () => signal.removeEventListener("abort", abort));
    try {
      await client.#logIn(server, options.parameters, { mayReveal: isPrivate, binding });
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

  /** As the engine does it. */
  async copyIn(sql: string, data: AsyncIterable<Uint8Array>, onRawData: (bytes: Uint8Array) => void): Promise<void> {
    let isOver = false;
    const answered = this.#converse(encodeQuery(sql), ({ type, body }) => {
      onRawData(encodeMessage(type, body));
      isOver = type === "Z";
      return isOver;
    });
    // What ends it early is told by the answer, which is waited for below.
    answered.catch(() => {
      isOver = true;
    });
    for await (const piece of data) {
      if (isOver) break;
      if (!this.#stream.write(encodeCopyData(piece))) await drained(this.#stream);
    }
    if (!isOver) this.#stream.write(copyDone);
    await answered;
  }

  /** Says good-bye. */
  close(): void {
    this.#failure ??= new ServerConnectionError("the connection was closed");
    this.#stream.end(encodeMessage("X"));
    this.#stream.setTimeout(goodByeMs, () => this.#stream.destroy());
  }

  /** Hangs up. */
  destroy(): void {
    this.#failure ??= new ServerConnectionError("the connection was closed");
    this.#stream.destroy();
  }

  async #logIn(
    { user, password, database, options, applicationName, channelBinding }: ServerUrl,
    own: ConnectOptions["parameters"],
    { mayReveal, binding }: { readonly mayReveal: boolean; readonly binding: Buffer | undefined },
  ): Promise<void> {
    const login = new LoginClient(await preparePassword(password), user, {
      mayReveal,
      binding: channelBinding === "disable" ? undefined : binding,
      requiresBinding: channelBinding === "require",
    });
    const parameters = {
      user,
      database,
      ...(options === undefined ? {} : { options }),
      client_encoding: "UTF8",
      application_name: applicationName ?? "pglite-devdb",
      ...own,
    };
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
      this.#end(error as Error);
    }
  }

  #end(reason: Error): void {
    this.#fail(reason);
    this.#stream.destroy();
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

function isRefusedLogin(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === isNotLetIn;
}

/** Resolves when more can be written, or nothing can be any more. */
function drained(stream: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stream.off("drain", done);
      stream.off("close", done);
      resolve();
    };
    stream.once("drain", done);
    stream.once("close", done);
    if (stream.destroyed) done();
  });
}
