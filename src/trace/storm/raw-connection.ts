/**
 * A client's socket that sends bytes as it is told and hands out the messages that come.
 *
 * Owns: one connection from its login to its end. Does not own: what is sent or expected (`storm-client.ts`), or how
 * long to wait (`storm.ts` ends a connection that waits too long).
 * Invariant: nobody waits on a connection that has ended; after the end nothing is sent or handed out.
 */
import { connect, type Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { encodeStartup } from "../../wire/frontend.ts";
import { type BackendMessage, MessageReader } from "../../wire/message-reader.ts";

/** Where a server listens. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

/** Why a connection has ended: by the other side or an error, or by `hangUp` with its reason. */
type ConnectionEnd = "lost" | "hung up" | "silence";

// ParameterStatus and NoticeResponse may come at any time.
const asynchronous: ReadonlySet<string> = new Set(["S", "N"]);

/** One raw connection. */
export class RawConnection {
  readonly #socket: Socket;
  readonly #reader = new MessageReader();
  #messages: BackendMessage[] = [];
  #end: ConnectionEnd | undefined;
  #wake: (() => void) | undefined;
  /** When the waiting for a message began, on the clock of `performance.now()`; undefined while nobody waits. */
  waitingSince: number | undefined;

  /** Begins to connect and to log in; `login` tells what came of it. */
  constructor({ host, port }: ServerAddress, applicationName: string) {
    this.#socket = connect({ host, port, noDelay: true });
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => this.#finish("lost"));
    this.#socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    this.#socket.write(encodeStartup({ user: "postgres", database: "postgres", application_name: applicationName }));
  }

  /** Resolves with whether the server let us in. */
  async login(): Promise<boolean> {
    for (;;) {
      const message = await this.next();
      if (!message || message.type === "E") return false;
      if (message.type === "Z") return true;
    }
  }

  /** Why it has ended; undefined while it is open. */
  get end(): ConnectionEnd | undefined {
    return this.#end;
  }

  /** How many messages have come that nobody has taken. */
  get unread(): number {
    return this.#messages.length;
  }

  /**
   * Writes each segment on its own, with a turn of the event loop after most of them, so that they come apart at the
   * server and the other clients' segments come in between.
   */
  async send(segments: readonly Buffer[]): Promise<void> {
    for (const [index, segment] of segments.entries()) {
      if (this.#end) return;
      this.#socket.write(segment);
      if (index < segments.length - 1 && index % 4 !== 3) await nextTurn();
    }
  }

  /** The next message; undefined when the connection has ended. */
  async next(): Promise<BackendMessage | undefined> {
    while (this.#messages.length === 0 && !this.#end) {
      this.waitingSince ??= performance.now();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.waitingSince = undefined;
    return this.#end === undefined || this.#end === "lost" ? this.#messages.shift() : undefined;
  }

  /** Closes it at once, without a Terminate, as a killed client does. */
  hangUp(reason: Exclude<ConnectionEnd, "lost"> = "hung up"): void {
    this.#finish(reason);
  }

  #receive(chunk: Buffer): void {
    try {
      for (const message of this.#reader.push(chunk)) {
        if (!asynchronous.has(message.type)) this.#messages.push(message);
      }
    } catch {
      // What came is not the protocol: this connection is of no more use.
      this.#finish("lost");
    }
    this.#notify();
  }

  #finish(end: ConnectionEnd): void {
    this.#end ??= end;
    this.#socket.destroy();
    this.#notify();
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
