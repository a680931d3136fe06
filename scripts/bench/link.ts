/**
 * One client's way to a target.
 *
 * Owns: the interface that the load speaks, and its form over a TCP socket. Does not own: what is sent, or the form
 * without a socket (`engine-link.ts`).
 * Invariant: what is sent between two flushes leaves in one write, so a batch reaches a server as one segment; the
 * answers that arrived together are answered together.
 */
import { connect, type Socket } from "node:net";
import { type Answer, AnswerReader } from "./answer-reader.ts";
import { startupPacket, terminate } from "./batches.ts";

/** Where a server listens and as whom to log in. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
}

/** A client's connection. Bytes go out at `flush`, or by themselves after the answers of one event were handled. */
export interface Link {
  /** Called for each answer, in order. */
  onAnswer: (answer: Answer) => void;
  /** Called at most once, when the link ends without `close` having been called. */
  onLost: (reason: string) => void;
  send(bytes: Uint8Array): void;
  flush(): void;
  /** Ends it; resolves when it has ended. */
  close(): Promise<void>;
}

const patienceMs = 10_000;

/** Sends `bytes` and resolves with a copy of the one answer. Rejects when the link ends, or answers nothing for 10 s. */
export function exchange(link: Link, bytes: Uint8Array): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${patienceMs / 1000} s`)), patienceMs);
    link.onLost = (reason) => {
      clearTimeout(timer);
      reject(new Error(reason));
    };
    link.onAnswer = (answer) => {
      clearTimeout(timer);
      resolve({ ...answer });
    };
    link.send(bytes);
    link.flush();
  });
}

/** Connects, logs in, and resolves at the first ReadyForQuery. */
export async function openSocketLink(endpoint: Endpoint): Promise<Link> {
  const link = new SocketLink(endpoint);
  try {
    const answer = await exchange(link, startupPacket(endpoint.user, endpoint.database));
    if (answer.error !== undefined) throw new Error(answer.error);
    return link;
  } catch (error) {
    link.abandon();
    throw error;
  }
}

class SocketLink implements Link {
  onAnswer: (answer: Answer) => void = () => {};
  onLost: (reason: string) => void = () => {};
  readonly #socket: Socket;
  readonly #reader = new AnswerReader((answer) => this.onAnswer(answer));
  readonly #closed: Promise<void>;
  #outgoing: Uint8Array[] = [];
  #ending = false;

  constructor(endpoint: Endpoint) {
    this.#socket = connect({
      host: endpoint.host,
      port: endpoint.port,
      noDelay: true,
      // One buffer for the life of the socket: the reader keeps nothing of it, and nothing is allocated per event.
      onread: {
        buffer: Buffer.allocUnsafe(256 * 1024),
        callback: (length, buffer) => {
          this.#reader.push((buffer as Buffer).subarray(0, length));
          this.flush();
          return true;
        },
      },
    });
    let reason = "the server closed the connection";
    this.#socket.on("error", (error) => {
      reason = error.message;
    });
    this.#closed = new Promise((resolve) => {
      this.#socket.on("close", () => {
        resolve();
        if (!this.#ending) this.onLost(this.#reader.pendingError ?? reason);
      });
    });
  }

  send(bytes: Uint8Array): void {
    this.#outgoing.push(bytes);
  }

  flush(): void {
    if (this.#outgoing.length === 0) return;
    const bytes = this.#outgoing.length === 1 ? this.#outgoing[0]! : Buffer.concat(this.#outgoing);
    this.#outgoing = [];
    this.#socket.write(bytes);
  }

  abandon(): void {
    this.#ending = true;
    this.#socket.destroy();
  }

  async close(): Promise<void> {
    this.#ending = true;
    const timer = setTimeout(() => this.#socket.destroy(), patienceMs);
    this.#socket.end(terminate());
    await this.#closed;
    clearTimeout(timer);
  }
}
